package tallykeeper

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// connection is the channel under the generated clients. It completes requests, sends the token, sets deadlines and
// turns statuses into errors with types. gRPC itself repeats calls, by service_config.json.
type connection struct {
	channel   grpc.ClientConnInterface
	namespace string
	timeout   time.Duration
	tokens    *tokens // nil: calls have no token
	closed    <-chan struct{}
}

// Invoke sends a unary call, for the generated clients.
func (c *connection) Invoke(ctx context.Context, method string, args, reply any, options ...grpc.CallOption) error {
	response := reply.(proto.Message)
	request := c.complete(args.(proto.Message), response)
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	err, renewed := c.invokeOnce(ctx, method, request, response, options)
	if renewed {
		err, _ = c.invokeOnce(ctx, method, request, response, options)
	}
	return err
}

// invokeOnce sends a call with the present token. It reports whether the token had expired and a new one is
// available.
func (c *connection) invokeOnce(
	ctx context.Context, method string, request, reply proto.Message, options []grpc.CallOption,
) (err error, renewed bool) {
	authorized, token, err := c.authorize(ctx)
	if err != nil {
		return err, false
	}
	requestID := ""
	if isMutation(reply) {
		requestID = requestIDOf(request)
	}
	err = c.errorOf(ctx, c.channel.Invoke(authorized, method, request, reply, options...), requestID)
	return err, c.renew(token, err)
}

// NewStream begins a call with streams, for the generated clients. It sets no deadline, because a watch has no end and
// a verification may take minutes. It never waits for a connection: without a deadline it might wait for ever.
func (c *connection) NewStream(
	ctx context.Context, description *grpc.StreamDesc, method string, options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	authorized, token, err := c.authorize(ctx)
	if err != nil {
		return nil, err
	}
	options = append([]grpc.CallOption{grpc.WaitForReady(false)}, options...)
	opened, err := c.channel.NewStream(authorized, description, method, options...)
	if err != nil {
		err = c.errorOf(ctx, err, "")
		c.renew(token, err)
		return nil, err
	}
	return &stream{ClientStream: opened, connection: c, ctx: ctx, token: token}, nil
}

// authorize adds the token to a context, and returns the token.
func (c *connection) authorize(ctx context.Context) (context.Context, string, error) {
	if c.tokens == nil {
		return ctx, "", nil
	}
	token, err := c.tokens.current(ctx)
	if err != nil {
		return nil, "", &CallError{Code: codeOfCause(err), Message: err.Error(), cause: err}
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token), token, nil
}

// renewable reports whether err says that the token has expired, and the client can fetch another one.
func (c *connection) renewable(err error) bool {
	return c.tokens != nil && c.tokens.fetch != nil && errors.Is(err, ErrCredentialExpired)
}

// renew drops the token if err says that it has expired and a new one is available. It reports whether it did.
func (c *connection) renew(token string, err error) bool {
	if !c.renewable(err) {
		return false
	}
	c.tokens.expire(token)
	return true
}

// errorOf turns what gRPC returned into an error of this package. It is nil if err is nil.
func (c *connection) errorOf(ctx context.Context, err error, requestID string) error {
	if err == nil {
		return nil
	}
	select {
	case <-c.closed:
		return &CallError{Code: codes.Canceled, Message: ErrClosed.Error(), RequestID: requestID, cause: ErrClosed}
	default:
		return newError(err, requestID, ctx.Err())
	}
}

// complete returns a request with the client's namespace and, if the call is a mutation, a request id. The caller's own
// message stays as it is, so that a caller who sends it twice makes two mutations.
func (c *connection) complete(request, reply proto.Message) proto.Message {
	message := request.ProtoReflect()
	fields := message.Descriptor().Fields()
	if !strings.HasPrefix(string(message.Descriptor().FullName()), "tallykeeper.v1.") {
		return request
	}
	completed := shallowCopy(message)
	if namespace := fields.ByName("namespace"); namespace != nil && !message.Has(namespace) && c.namespace != "" {
		completed.Set(namespace, stringValue(c.namespace))
	}
	if requestID := fields.ByName("request_id"); isMutation(reply) && !message.Has(requestID) {
		completed.Set(requestID, stringValue(NewRequestID()))
	}
	return completed.Interface()
}

// isMutation reports whether a response is that of a mutation: only these say whether they are a replay.
func isMutation(reply proto.Message) bool {
	return reply.ProtoReflect().Descriptor().Fields().ByName("replayed") != nil
}

// stream is a stream of responses whose errors have types.
type stream struct {
	grpc.ClientStream
	connection *connection
	ctx        context.Context
	token      string
}

func (s *stream) SendMsg(message any) error {
	request := message.(proto.Message)
	// No stream is a mutation, so complete may take the request in place of a reply: it adds no request id.
	return s.errorOf(s.ClientStream.SendMsg(s.connection.complete(request, request)))
}

func (s *stream) RecvMsg(message any) error {
	err := s.errorOf(s.ClientStream.RecvMsg(message))
	s.connection.renew(s.token, err)
	return err
}

func (s *stream) errorOf(err error) error {
	if errors.Is(err, io.EOF) {
		return err
	}
	return s.connection.errorOf(s.ctx, err, "")
}
