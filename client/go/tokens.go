package tallykeeper

import (
	"context"
	"errors"
	"fmt"
)

// tokens holds the token of the caller, and fetches it if it comes from a function.
type tokens struct {
	// held has the token, or "" if the token must be fetched. A caller that takes it out puts it back.
	held  chan string
	fetch func(context.Context) (string, error) // nil: the token never changes
}

func fixedToken(token string) *tokens {
	t := &tokens{held: make(chan string, 1)}
	t.held <- token
	return t
}

func fetchedToken(fetch func(context.Context) (string, error)) *tokens {
	t := fixedToken("")
	t.fetch = fetch
	return t
}

// current returns the token. One caller at a time fetches it, and the others wait for that caller.
func (t *tokens) current(ctx context.Context) (string, error) {
	var token string
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case token = <-t.held:
	}
	defer func() { t.held <- token }()
	if token != "" {
		return token, nil
	}
	fetched, err := t.fetch(ctx)
	if err == nil {
		err = checkToken(fetched)
	}
	if err != nil {
		return "", fmt.Errorf("the token function failed: %w", err)
	}
	token = fetched
	return token, nil
}

// expire drops a token that has expired, unless another one has taken its place.
func (t *tokens) expire(token string) {
	select {
	case held := <-t.held:
		if held == token {
			held = ""
		}
		t.held <- held
	default: // another caller is fetching the next token
	}
}

// checkToken refuses a token that cannot travel in a header.
func checkToken(token string) error {
	if token == "" {
		return errors.New("the token is empty")
	}
	for _, character := range token {
		if character < ' ' || character > '~' {
			return errors.New("the token has a character that is not printable ASCII")
		}
	}
	return nil
}
