package tallykeeper

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// DefaultTimeout is the deadline of a call whose context has none, with all its repeats.
const DefaultTimeout = 5 * time.Second

const (
	// A response may have 1,000 reservations of 100 lines, which is more than gRPC's own limit of 4 MiB.
	responseBytesMax = 64 << 20
	// A watch on a machine that is gone begins again after both times together.
	keepaliveTime    = 30 * time.Second
	keepaliveTimeout = 10 * time.Second
	connectTimeout   = 5 * time.Second
)

// The backoff of connecting. gRPC's own grows to 2 minutes, which would outlast the deadline of every call: with half a
// second, a port that was closed for 4 seconds is found within the default deadline.
var connectBackoff = backoff.Config{
	BaseDelay:  100 * time.Millisecond,
	Multiplier: 1.6,
	Jitter:     0.2,
	MaxDelay:   500 * time.Millisecond,
}

//go:embed service_config.json
var serviceConfig string

// Option is an option of [NewClient].
type Option func(*settings) error

type settings struct {
	namespace   string
	timeout     time.Duration
	retries     bool
	tokens      *tokens
	tls         *tls.Config
	roots       *x509.CertPool
	certificate *tls.Certificate
	secure      bool
	extra       []grpc.DialOption
}

func newSettings(options []Option) (*settings, error) {
	s := &settings{timeout: DefaultTimeout, retries: true}
	for _, option := range options {
		if err := option(s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// WithNamespace sets the namespace of requests that name none. Without it, that is the namespace "default".
func WithNamespace(namespace string) Option {
	return func(s *settings) error {
		s.namespace = namespace
		return nil
	}
}

// WithTimeout sets the deadline of calls whose context has none, with all their repeats. It must be more than 0.
func WithTimeout(timeout time.Duration) Option {
	return func(s *settings) error {
		if timeout <= 0 {
			return fmt.Errorf("the timeout is %s; it must be more than 0", timeout)
		}
		s.timeout = timeout
		return nil
	}
}

// WithToken sends a token, an API key or a JWT, with each call.
func WithToken(token string) Option {
	return func(s *settings) error {
		if err := checkToken(token); err != nil {
			return err
		}
		s.tokens = fixedToken(token)
		return nil
	}
}

// WithTokenFunc sends the token that fetch returns with each call. The client calls fetch before the first call, and
// again when the server answers CREDENTIAL_EXPIRED; the call is then sent once more with the new token. An error of
// fetch is the error of the call. The client never calls fetch twice at the same time.
func WithTokenFunc(fetch func(context.Context) (string, error)) Option {
	return func(s *settings) error {
		if fetch == nil {
			return errors.New("the token function is nil")
		}
		s.tokens = fetchedToken(fetch)
		return nil
	}
}

// WithSystemRoots connects by TLS and trusts the authorities that the system trusts.
func WithSystemRoots() Option {
	return func(s *settings) error {
		s.secure = true
		return nil
	}
}

// WithCAFile connects by TLS and trusts the authorities in a PEM file instead of those of the system.
func WithCAFile(path string) Option {
	return func(s *settings) error {
		authorities, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("the file of authorities cannot be read: %w", err)
		}
		s.secure, s.roots = true, x509.NewCertPool()
		if !s.roots.AppendCertsFromPEM(authorities) {
			return fmt.Errorf("the file of authorities %q has no certificate in PEM form", path)
		}
		return nil
	}
}

// WithClientCertificate connects by mutual TLS, with a certificate (and its chain) and its key from PEM files.
func WithClientCertificate(certificateFile, keyFile string) Option {
	return func(s *settings) error {
		pair, err := tls.LoadX509KeyPair(certificateFile, keyFile)
		if err != nil {
			return fmt.Errorf(
				"the client's certificate %q and its key %q cannot be used: %w", certificateFile, keyFile, err)
		}
		s.secure, s.certificate = true, &pair
		return nil
	}
}

// WithTLS connects by TLS with a configuration, such as one with another ServerName. [WithCAFile] and
// [WithClientCertificate] add to it.
func WithTLS(config *tls.Config) Option {
	return func(s *settings) error {
		if config == nil {
			return errors.New("the TLS configuration is nil; WithSystemRoots needs none")
		}
		s.secure, s.tls = true, config.Clone()
		return nil
	}
}

// WithoutRetries sends each call once. A call then fails at once if the server cannot be reached.
func WithoutRetries() Option {
	return func(s *settings) error {
		s.retries = false
		return nil
	}
}

// WithDialOptions adds options of gRPC, such as interceptors or a stats handler. They take precedence over the client's
// own.
func WithDialOptions(options ...grpc.DialOption) Option {
	return func(s *settings) error {
		s.extra = append(s.extra, options...)
		return nil
	}
}

func (s *settings) dialOptions() []grpc.DialOption {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(s.credentials()),
		grpc.WithDisableServiceConfig(), // a TXT record of the server's name must not replace the retries
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: connectBackoff, MinConnectTimeout: connectTimeout}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(responseBytesMax)),
	}
	if s.retries {
		options = append(options, grpc.WithDefaultServiceConfig(serviceConfig))
	} else {
		options = append(options, grpc.WithDisableRetry())
	}
	return append(options, s.extra...)
}

func (s *settings) credentials() credentials.TransportCredentials {
	if !s.secure {
		return insecure.NewCredentials()
	}
	config := s.tls
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if s.roots != nil {
		config.RootCAs = s.roots
	}
	if s.certificate != nil {
		config.Certificates = slices.Concat(config.Certificates, []tls.Certificate{*s.certificate})
	}
	return credentials.NewTLS(config)
}
