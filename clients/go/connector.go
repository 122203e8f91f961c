package client

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	connectorv1 "connector.enmeshed/client/gen/enmeshed/connector/v1"
)

// Larger than any answer: content may have 20 MiB.
const maxMessageBytes = 32 * 1024 * 1024

// Options say how to reach a Connector. The zero value means: no encryption, no key, the only account.
type Options struct {
	// APIKey is sent as x-api-key. Empty where the server asks for none.
	APIKey string
	// Account is the name of the account, sent as x-account. Empty where the key or the server has just one.
	Account string
	// TLS encrypts the connection. Nil: it is not encrypted.
	TLS credentials.TransportCredentials
	// Dial are further options of the connection.
	Dial []grpc.DialOption
}

// Connector is one account of a Connector, safe for use by many goroutines. Its calls return *Error when they fail. They have no time
// limit but that of their context.
type Connector struct {
	Account               connectorv1.AccountClient
	RelationshipTemplates connectorv1.RelationshipTemplatesClient
	Relationships         connectorv1.RelationshipsClient
	Messages              connectorv1.MessagesClient
	Files                 connectorv1.FilesClient
	Tokens                connectorv1.TokensClient
	// Events has the calls of the service; Follow is the way to read events for long.
	Events connectorv1.EventsClient

	// Connection is what clients of further services are made of: connectorv1.NewChallengesClient(connector.Connection).
	Connection *grpc.ClientConn
}

// New prepares the connection to a target such as "localhost:50051"; nothing is sent before the first call.
func New(target string, options Options) (*Connector, error) {
	transport := options.TLS
	if transport == nil {
		transport = insecure.NewCredentials()
	}
	var pairs []string
	if options.APIKey != "" {
		pairs = append(pairs, "x-api-key", options.APIKey)
	}
	if options.Account != "" {
		pairs = append(pairs, "x-account", options.Account)
	}
	dial := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 60 * time.Second, Timeout: 20 * time.Second}),
		// A server that comes back is found soon; the default may wait two minutes.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second},
			MinConnectTimeout: 10 * time.Second,
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageBytes)),
		grpc.WithChainUnaryInterceptor(unaryInterceptor(pairs)),
		grpc.WithChainStreamInterceptor(streamInterceptor(pairs)),
	}
	connection, err := grpc.NewClient(target, append(dial, options.Dial...)...)
	if err != nil {
		return nil, fmt.Errorf("connector: %w", err)
	}
	return &Connector{
		Account:               connectorv1.NewAccountClient(connection),
		RelationshipTemplates: connectorv1.NewRelationshipTemplatesClient(connection),
		Relationships:         connectorv1.NewRelationshipsClient(connection),
		Messages:              connectorv1.NewMessagesClient(connection),
		Files:                 connectorv1.NewFilesClient(connection),
		Tokens:                connectorv1.NewTokensClient(connection),
		Events:                connectorv1.NewEventsClient(connection),
		Connection:            connection,
	}, nil
}

// Close closes the connection; calls under way are cancelled.
func (c *Connector) Close() error {
	return c.Connection.Close()
}

// IdempotencyKey returns a new key for one mutation. Keep it, and repeat the call with it when the outcome is unknown.
func IdempotencyKey() string {
	var b [16]byte
	// Never fails: the program ends when the system has no random numbers.
	_, _ = rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func unaryInterceptor(pairs []string) grpc.UnaryClientInterceptor {
	return func(
		ctx context.Context, method string, request, reply any,
		connection *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
	) error {
		var header, trailer metadata.MD
		options = append(options, grpc.Header(&header), grpc.Trailer(&trailer))
		err := invoke(metadata.AppendToOutgoingContext(ctx, pairs...), method, request, reply, connection, options...)
		return errorOf(err, header, trailer)
	}
}

func streamInterceptor(pairs []string) grpc.StreamClientInterceptor {
	return func(
		ctx context.Context, description *grpc.StreamDesc, connection *grpc.ClientConn,
		method string, streamer grpc.Streamer, options ...grpc.CallOption,
	) (grpc.ClientStream, error) {
		stream, err := streamer(metadata.AppendToOutgoingContext(ctx, pairs...), description, connection, method, options...)
		if err != nil {
			return nil, errorOf(err)
		}
		return &typedStream{stream}, nil
	}
}

// typedStream turns the status that ends a stream into an *Error.
type typedStream struct {
	grpc.ClientStream
}

func (s *typedStream) RecvMsg(message any) error {
	err := s.ClientStream.RecvMsg(message)
	if err == nil {
		return nil
	}
	// The stream has ended, so the header is there and this does not wait.
	header, _ := s.Header()
	return errorOf(err, header, s.Trailer())
}
