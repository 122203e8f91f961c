package client

import (
	"context"
	"errors"
	"io"
	"iter"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"

	connectorv1 "connector.enmeshed/client/gen/enmeshed/connector/v1"
)

const (
	firstSilence  = 60 * time.Second
	shortestDelay = 100 * time.Millisecond
	longestDelay  = 5 * time.Second
)

// ReceivedEvent is an event, and where to go on after it.
type ReceivedEvent struct {
	Event *connectorv1.Event
	// ResumeToken: keep it once the event is dealt with. It covers the whole batch the event came in only with the batch's last event; before
	// that it is the token of the batch before, so that an interruption repeats events and loses none. Empty before the first token came.
	ResumeToken string
}

// FollowOptions say which events to follow, and from where. The zero value means all events from now on.
type FollowOptions struct {
	// Types are exact types or patterns with * and **; none means all.
	Types []string
	// After is the ResumeToken of the last event that was dealt with. Empty: from now on.
	After string
	// FromBeginning begins with the oldest event that is kept, when there is no After.
	FromBeginning bool
	// Patience is for how long the server may be away in one go before the error is returned. Zero: 60 seconds.
	Patience time.Duration
	// OnConnected is called whenever a stream has begun: at first, and after each lost connection. It must not wait for events.
	OnConnected func()
}

// Follow returns events for as long as the caller goes on, across lost connections and restarts of the server.
//
// Order: as committed. Delivery: at least once; an event comes again only after a lost connection. End: with an error, when the context is done,
// the Connector refuses or is away for longer than the patience. Slow readers: the server waits for them in the log and loses nothing within its
// retention.
func (c *Connector) Follow(ctx context.Context, options FollowOptions) iter.Seq2[ReceivedEvent, error] {
	return func(yield func(ReceivedEvent, error) bool) {
		f := &follower{connector: c, options: options, token: options.After, yield: yield, delay: shortestDelay}
		if f.options.Patience == 0 {
			f.options.Patience = 60 * time.Second
		}
		for {
			err := f.read(ctx)
			if errors.Is(err, errLeft) {
				return
			}
			if ctx.Err() != nil {
				yield(ReceivedEvent{}, ctx.Err())
				return
			}
			var wait time.Duration
			if err != nil && !errors.Is(err, io.EOF) {
				if !f.bears(err) {
					yield(ReceivedEvent{}, err)
					return
				}
				var told *Error
				if errors.As(err, &told) {
					wait = told.RetryAfter
				}
			}
			wait = max(wait, time.Duration((0.5+rand.Float64())*float64(f.delay)))
			f.delay = min(2*f.delay, longestDelay)
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
		}
	}
}

var (
	errLeft   = errors.New("the reader has left")
	errSilent = errors.New("the stream was silent for too long")
)

// follower is the state of one Follow.
type follower struct {
	connector *Connector
	options   FollowOptions
	yield     func(ReceivedEvent, error) bool
	token     string
	awaySince time.Time
	delay     time.Duration
}

// read makes one stream and hands on what it brings, until it ends.
func (f *follower) read(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := firstSilence
	// Running only while the stream is waited for: the time that the reader takes does not count.
	watch := time.AfterFunc(silence, func() { cancel(errSilent) })
	defer watch.Stop()
	stream, err := f.connector.Events.Subscribe(ctx, f.request())
	if err != nil {
		return err
	}
	for {
		watch.Reset(silence)
		frame, err := stream.Recv()
		watch.Stop()
		if err != nil {
			if errors.Is(context.Cause(ctx), errSilent) {
				return errSilent
			}
			return err
		}
		f.awaySince, f.delay = time.Time{}, shortestDelay
		if started := frame.GetStarted(); started != nil {
			// Past twice the longest silence that the server promises, nobody is there any more.
			silence = 2*started.GetHeartbeatInterval().AsDuration() + time.Second
			if f.options.OnConnected != nil {
				f.options.OnConnected()
			}
		}
		batch := frame.GetEvents().GetEvents()
		for i, event := range batch {
			token := f.token
			if i == len(batch)-1 {
				token = frame.GetResumeToken()
			}
			if !f.yield(ReceivedEvent{event, token}, nil) {
				return errLeft
			}
		}
		if frame.GetResumeToken() != "" {
			f.token = frame.GetResumeToken()
		}
	}
}

func (f *follower) request() *connectorv1.SubscribeRequest {
	request := &connectorv1.SubscribeRequest{Types: f.options.Types}
	switch {
	case f.token != "":
		request.Start = &connectorv1.SubscribeRequest_ResumeToken{ResumeToken: f.token}
	case f.options.FromBeginning:
		request.Start = &connectorv1.SubscribeRequest_From{From: connectorv1.SubscriptionStart_SUBSCRIPTION_START_BEGINNING}
	}
	return request
}

// bears tells whether the follower goes on after an error.
func (f *follower) bears(err error) bool {
	if !isPassing(err) {
		return false
	}
	if f.awaySince.IsZero() {
		f.awaySince = time.Now()
	}
	return time.Since(f.awaySince) <= f.options.Patience
}

// isPassing tells what a restart, a drain or a proxy in between looks like; everything else is an answer.
func isPassing(err error) bool {
	if errors.Is(err, errSilent) {
		return true
	}
	var told *Error
	if !errors.As(err, &told) {
		return false
	}
	switch told.Reason {
	case "DRAINING", "SUBSCRIBER_TOO_SLOW", "TOO_MANY_SUBSCRIPTIONS":
		return true
	}
	switch told.Code {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Internal, codes.Canceled:
		return true
	}
	return false
}
