package tallykeeper

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

func TestNewClientRefusesBadInputByName(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, input := range map[string]struct {
		address string
		option  Option
	}{
		`the address "" has no host or no port`:                 {address: ""},
		`the address "127.0.0.1" has no host or no port`:        {address: "127.0.0.1"},
		`the address ":50051" has no host or no port`:           {address: ":50051"},
		`the address "localhost:0" has the port "0"`:            {address: "localhost:0"},
		`the address "localhost:http" has the port "http"`:      {address: "localhost:http"},
		`the address "http://localhost:50051" is a URL`:         {address: "http://localhost:50051"},
		`the address "::1:50051" has no host or no port`:        {address: "::1:50051"},
		"the timeout is 0s; it must be more than 0":             {option: WithTimeout(0)},
		"the token is empty":                                    {option: WithToken("")},
		"the token has a character that is not printable ASCII": {option: WithToken("ключ")},
		"the token function is nil":                             {option: WithTokenFunc(nil)},
		"the TLS configuration is nil":                          {option: WithTLS(nil)},
		"the file of authorities cannot be read":                {option: WithCAFile(empty + ".missing")},
		`empty.pem" has no certificate in PEM form`:             {option: WithCAFile(empty)},
		"the client's certificate":                              {option: WithClientCertificate(empty, empty)},
	} {
		if input.option == nil {
			input.option = WithNamespace("shop")
		} else {
			input.address = "127.0.0.1:50051"
		}
		if _, err := NewClient(input.address, input.option); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, not %s", err, want)
		}
	}
	for _, address := range []string{
		"127.0.0.1:1", "[::1]:1", "tally.example:65535", "unix:/run/tally.sock", "dns:///tally:1",
	} {
		if client, err := NewClient(address); err != nil {
			t.Errorf("%q is refused: %v", address, err)
		} else {
			client.Close()
		}
	}
}

// certificate makes a self-signed certificate, and returns its files.
func certificate(t *testing.T, name string) (certificateFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	certificateFile, keyFile = filepath.Join(folder, name+".pem"), filepath.Join(folder, name+".key")
	for file, block := range map[string]*pem.Block{
		certificateFile: {Type: "CERTIFICATE", Bytes: signed}, keyFile: {Type: "PRIVATE KEY", Bytes: encoded},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificateFile, keyFile
}

// serveTLS serves by mutual TLS. Each increment fails with the name of the client's certificate.
func serveTLS(t *testing.T, serverFile, serverKey, clientFile string) string {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(serverFile, serverKey)
	if err != nil {
		t.Fatal(err)
	}
	authorities := x509.NewCertPool()
	trusted, err := os.ReadFile(clientFile)
	if err != nil || !authorities.AppendCertsFromPEM(trusted) {
		t.Fatal(err)
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{pair}, ClientCAs: authorities, ClientAuth: tls.RequireAndVerifyClientCert,
	}
	fake := &fakeServer{answer: func(ctx context.Context, _ int) error {
		caller, _ := peer.FromContext(ctx)
		name := caller.AuthInfo.(credentials.TLSInfo).State.PeerCertificates[0].DNSNames[0]
		return status.Error(codes.FailedPrecondition, "called by "+name)
	}}
	listener := listen(t, "127.0.0.1:0")
	fake.serve(t, listener, grpc.Creds(credentials.NewTLS(config)))
	return listener.Addr().String()
}

func TestMutualTLS(t *testing.T) {
	serverFile, serverKey := certificate(t, "server.test")
	clientFile, clientKey := certificate(t, "till-1.test")
	address := serveTLS(t, serverFile, serverKey, clientFile)
	client := dial(t, address, WithCAFile(serverFile), WithClientCertificate(clientFile, clientKey))
	_, err := client.Increment(t.Context(), "views", 1)
	if err == nil || err.Error() != "FAILED_PRECONDITION: called by till-1.test" {
		t.Errorf("the error is %v", err)
	}
	named := dial(t, address, WithTLS(&tls.Config{ServerName: "another.test"}), WithCAFile(serverFile),
		WithClientCertificate(clientFile, clientKey), WithoutRetries())
	_, err = named.Increment(t.Context(), "views", 1)
	if err == nil || !strings.Contains(err.Error(), "not another.test") {
		t.Errorf("the error is %v", err)
	}
}

func TestAServerThatNoAuthorityVouchesForIsNotCalled(t *testing.T) {
	serverFile, serverKey := certificate(t, "server.test")
	clientFile, clientKey := certificate(t, "till-1.test")
	address := serveTLS(t, serverFile, serverKey, clientFile)
	for name, trust := range map[string]Option{"system": WithSystemRoots(), "another": WithCAFile(clientFile)} {
		client := dial(t, address, trust, WithClientCertificate(clientFile, clientKey), WithoutRetries())
		_, err := client.Increment(t.Context(), "views", 1)
		if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}

func TestDialOptionsAreUsed(t *testing.T) {
	var seen string
	note := func(ctx context.Context, method string, request, reply any, channel *grpc.ClientConn,
		invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
		seen = method
		return invoke(ctx, method, request, reply, channel, options...)
	}
	client := (&fakeServer{}).start(t, WithDialOptions(grpc.WithUnaryInterceptor(note)))
	_, err := client.Increment(t.Context(), "views", 1)
	if err != nil || seen != "/tallykeeper.v1.CounterService/Increment" {
		t.Errorf("the interceptor has seen %q: %v", seen, err)
	}
}
