package client

import (
	"context"
	"iter"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Page is the answer of a list call.
type Page interface {
	GetNextPageToken() string
}

// Request is the request of a list call.
type Request interface {
	proto.Message
	GetPageToken() string
}

// Pages returns all pages of a list call. The request is not changed. An error ends the iteration.
//
//	for page, err := range client.Pages(ctx, connector.Messages.ListMessages, &connectorv1.ListMessagesRequest{PageSize: 100}) {
func Pages[R Request, P Page](
	ctx context.Context, list func(context.Context, R, ...grpc.CallOption) (P, error), request R,
) iter.Seq2[P, error] {
	return func(yield func(P, error) bool) {
		next := proto.CloneOf(request)
		for {
			page, err := list(ctx, next)
			if !yield(page, err) || err != nil || page.GetNextPageToken() == "" {
				return
			}
			reflected := next.ProtoReflect()
			field := reflected.Descriptor().Fields().ByName("page_token")
			reflected.Set(field, protoreflect.ValueOfString(page.GetNextPageToken()))
		}
	}
}
