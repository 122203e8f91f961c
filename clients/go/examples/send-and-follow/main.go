// Command send-and-follow sends a mail and follows the account's events until it sees that the mail was sent.
//
//	go run ./examples/send-and-follow --address localhost:50051 --account alice --recipient did:e:…
//
// Each flag may come from the environment instead: ENMESHED_ADDRESS, ENMESHED_API_KEY, ENMESHED_ACCOUNT, ENMESHED_RECIPIENT, ENMESHED_CA_FILE.
// Between the account and the recipient there has to be an active relationship. The key needs the permissions messages:write,
// messages:read and events:read.
//
// Exit codes: 0, seen; 1, the Connector refused or the time was over; 2, a flag is missing.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc/credentials"

	"connector.enmeshed/client"
	connectorv1 "connector.enmeshed/client/gen/enmeshed/connector/v1"
	contentv1 "connector.enmeshed/client/gen/enmeshed/content/v1"
)

var (
	address = flag.String("address", cmp.Or(os.Getenv("ENMESHED_ADDRESS"), "localhost:50051"), "host and port of the Connector")
	// The environment is the better place: other users of a machine see the flags of its processes.
	apiKey    = flag.String("api-key", "", "the API key; else ENMESHED_API_KEY")
	account   = flag.String("account", os.Getenv("ENMESHED_ACCOUNT"), "the account that sends")
	recipient = flag.String("recipient", os.Getenv("ENMESHED_RECIPIENT"), "the address of the recipient")
	caFile    = flag.String("ca-file", os.Getenv("ENMESHED_CA_FILE"), "PEM certificates to trust; encrypts the connection")
	subject   = flag.String("subject", "Hello", "the subject of the mail")
	body      = flag.String("body", "Sent from Go.", "the text of the mail")
	timeout   = flag.Int("timeout-seconds", 60, "how long to wait for the event")
)

func main() {
	flag.Parse()
	if *recipient == "" {
		fmt.Fprintln(os.Stderr, "Who gets the mail? Give --recipient or ENMESHED_RECIPIENT.")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(*timeout)*time.Second)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "failed: %v\n", err)
		var refused *client.Error
		if errors.As(err, &refused) {
			for _, violation := range refused.Violations {
				fmt.Fprintf(os.Stderr, "  %s: %s\n", violation.Field, violation.Description)
			}
		}
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	options := client.Options{APIKey: cmp.Or(*apiKey, os.Getenv("ENMESHED_API_KEY")), Account: *account}
	if *caFile != "" {
		encrypted, err := credentials.NewClientTLSFromFile(*caFile, "")
		if err != nil {
			return err
		}
		options.TLS = encrypted
	}
	connector, err := client.New(*address, options)
	if err != nil {
		return err
	}
	defer connector.Close()

	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	sent := make(chan string, 1)
	started := false
	// The stream comes first, so that no event of the mail is missed; a stream that is made anew does not send again.
	onConnected := func() {
		if started {
			return
		}
		started = true
		go func() {
			id, err := send(ctx, connector)
			if err != nil {
				fail(err)
				return
			}
			sent <- id
		}()
	}
	events := connector.Follow(ctx, client.FollowOptions{Types: []string{"transport.*"}, OnConnected: onConnected})
	var id string
	for received, err := range events {
		if err != nil {
			return cmp.Or(context.Cause(ctx), err)
		}
		event := received.Event
		fmt.Printf("event %s %s\n", event.GetType(), event.GetMessage().GetId())
		if event.GetType() != "transport.messageSent" {
			continue
		}
		// The event may be here before the answer to the call.
		if id == "" {
			select {
			case id = <-sent:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if event.GetMessage().GetId() == id {
			return nil
		}
	}
	return errors.New("the stream ended")
}

func send(ctx context.Context, connector *client.Connector) (string, error) {
	mail := &contentv1.Mail{To: []string{*recipient}, Subject: *subject, Body: *body}
	answer, err := connector.Messages.SendMessage(ctx, &connectorv1.SendMessageRequest{
		Recipients: []string{*recipient},
		Content:    &contentv1.Content{Kind: &contentv1.Content_Mail{Mail: mail}},
		// With the same key the call may be repeated: the mail is sent once.
		IdempotencyKey: client.IdempotencyKey(),
	})
	if err != nil {
		return "", err
	}
	fmt.Printf("sent %s\n", answer.GetMessage().GetId())
	return answer.GetMessage().GetId(), nil
}
