package client_test

import (
	"bytes"
	"context"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"connector.enmeshed/client"
	connectorv1 "connector.enmeshed/client/gen/enmeshed/connector/v1"
)

// stub plays the services that the tests need.
type stub struct {
	connectorv1.UnimplementedMessagesServer
	connectorv1.UnimplementedEventsServer
	connectorv1.UnimplementedFilesServer

	mutex     sync.Mutex
	metadata  []metadata.MD
	starts    []string
	subscribe func(call int, stream grpc.ServerStreamingServer[connectorv1.SubscribeResponse]) error
	stored    []byte
	damaged   bool
}

func (s *stub) note(ctx context.Context) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	received, _ := metadata.FromIncomingContext(ctx)
	s.metadata = append(s.metadata, received)
}

func (s *stub) GetMessage(ctx context.Context, _ *connectorv1.GetMessageRequest) (*connectorv1.GetMessageResponse, error) {
	s.note(ctx)
	_ = grpc.SetHeader(ctx, metadata.Pairs("x-correlation-id", "corr-1"))
	refusal, err := status.New(codes.FailedPrecondition, "no active relationship").WithDetails(
		&errdetails.ErrorInfo{
			Reason: "RELATIONSHIP_NOT_ACTIVE", Domain: "connector.enmeshed",
			Metadata: map[string]string{"code": "error.runtime.messages.hasNoActiveRelationship", "peers": "did:e:x"},
		},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "id", Description: "is wrong"}}},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(1500 * time.Millisecond)},
	)
	if err != nil {
		return nil, err
	}
	return nil, refusal.Err()
}

func (s *stub) ListMessages(ctx context.Context, request *connectorv1.ListMessagesRequest) (*connectorv1.ListMessagesResponse, error) {
	s.note(ctx)
	next := map[string]string{"": "2", "2": "3", "3": ""}[request.GetPageToken()]
	id := fmt.Sprintf("page %q of %d", request.GetPageToken(), request.GetPageSize())
	return &connectorv1.ListMessagesResponse{Messages: []*connectorv1.Message{{Id: id}}, NextPageToken: next}, nil
}

func (s *stub) Subscribe(
	request *connectorv1.SubscribeRequest, stream grpc.ServerStreamingServer[connectorv1.SubscribeResponse],
) error {
	s.note(stream.Context())
	s.mutex.Lock()
	call := len(s.starts)
	s.starts = append(s.starts, request.GetResumeToken())
	s.mutex.Unlock()
	return s.subscribe(call, stream)
}

func (s *stub) UploadFile(stream grpc.ClientStreamingServer[connectorv1.UploadFileRequest, connectorv1.UploadFileResponse]) error {
	var content bytes.Buffer
	var about *connectorv1.UploadMetadata
	for {
		frame, err := stream.Recv()
		if err == io.EOF {
			return status.Error(codes.InvalidArgument, "no digest")
		}
		if err != nil {
			return err
		}
		if frame.GetMetadata() != nil {
			about = frame.GetMetadata()
			if about.GetFilename() == "refused" {
				return status.Error(codes.ResourceExhausted, "no room")
			}
		}
		content.Write(frame.GetChunk())
		if frame.GetDigest() != nil {
			sum := sha512.Sum512(content.Bytes())
			if !bytes.Equal(sum[:], frame.GetDigest().GetSha512()) || about.GetSizeBytes() != int64(content.Len()) {
				return status.Error(codes.InvalidArgument, "does not fit")
			}
			s.stored = content.Bytes()
			return stream.SendAndClose(&connectorv1.UploadFileResponse{File: &connectorv1.File{Filename: about.GetFilename()}})
		}
	}
}

func (s *stub) DownloadFile(
	_ *connectorv1.DownloadFileRequest, stream grpc.ServerStreamingServer[connectorv1.DownloadFileResponse],
) error {
	about := &connectorv1.DownloadMetadata{File: &connectorv1.File{Filename: "f"}, SizeBytes: int64(len(s.stored))}
	frames := []*connectorv1.DownloadFileResponse{{Frame: &connectorv1.DownloadFileResponse_Metadata{Metadata: about}}}
	for chunk := range slices.Chunk(s.stored, 200_000) {
		chunk = bytes.Clone(chunk)
		if s.damaged {
			chunk[0] ^= 1
		}
		frames = append(frames, &connectorv1.DownloadFileResponse{Frame: &connectorv1.DownloadFileResponse_Chunk{Chunk: chunk}})
	}
	sum := sha512.Sum512(s.stored)
	frames = append(frames, &connectorv1.DownloadFileResponse{
		Frame: &connectorv1.DownloadFileResponse_Digest{Digest: &connectorv1.TransferDigest{Sha512: sum[:]}},
	})
	for _, frame := range frames {
		if err := stream.Send(frame); err != nil {
			return err
		}
	}
	return nil
}

// serve starts the stub on an address; "127.0.0.1:0" picks a free port.
func serve(t *testing.T, s *stub, address string) (*grpc.Server, string) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	connectorv1.RegisterMessagesServer(server, s)
	connectorv1.RegisterEventsServer(server, s)
	connectorv1.RegisterFilesServer(server, s)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return server, listener.Addr().String()
}

func connect(t *testing.T, address string) *client.Connector {
	t.Helper()
	connector, err := client.New(address, client.Options{APIKey: "key", Account: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connector.Close() })
	return connector
}

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func started() *connectorv1.SubscribeResponse {
	about := &connectorv1.SubscriptionStarted{HeartbeatInterval: durationpb.New(30 * time.Second)}
	return &connectorv1.SubscribeResponse{Frame: &connectorv1.SubscribeResponse_Started{Started: about}}
}

func events(token string, ids ...string) *connectorv1.SubscribeResponse {
	batch := &connectorv1.EventBatch{}
	for _, id := range ids {
		batch.Events = append(batch.Events, &connectorv1.Event{Id: id})
	}
	return &connectorv1.SubscribeResponse{ResumeToken: token, Frame: &connectorv1.SubscribeResponse_Events{Events: batch}}
}

func TestAFailedCallTellsEverythingThatTheStatusHolds(t *testing.T) {
	s := &stub{}
	_, address := serve(t, s, "127.0.0.1:0")
	_, err := connect(t, address).Messages.GetMessage(deadline(t), &connectorv1.GetMessageRequest{})
	var told *client.Error
	if !errors.As(err, &told) {
		t.Fatalf("%T is not an *Error", err)
	}
	if told.Code != codes.FailedPrecondition || told.Reason != "RELATIONSHIP_NOT_ACTIVE" || told.Facts["peers"] != "did:e:x" ||
		told.OfficialCode != "error.runtime.messages.hasNoActiveRelationship" || told.RetryAfter != 1500*time.Millisecond ||
		told.CorrelationID != "corr-1" || !slices.Equal(told.Violations, []client.FieldViolation{{Field: "id", Description: "is wrong"}}) {
		t.Errorf("%+v", told)
	}
	if status.Code(err) != codes.FailedPrecondition {
		t.Errorf("status.Code gives %v", status.Code(err))
	}
}

func TestCredentialsGoWithCallsAndStreams(t *testing.T) {
	s := &stub{}
	s.subscribe = func(_ int, stream grpc.ServerStreamingServer[connectorv1.SubscribeResponse]) error {
		return stream.Send(events("t1", "1"))
	}
	_, address := serve(t, s, "127.0.0.1:0")
	connector := connect(t, address)
	_, _ = connector.Messages.ListMessages(deadline(t), &connectorv1.ListMessagesRequest{})
	for range connector.Follow(deadline(t), client.FollowOptions{}) {
		break
	}
	if len(s.metadata) != 2 {
		t.Fatalf("%d calls", len(s.metadata))
	}
	for _, received := range s.metadata {
		if !slices.Equal(received.Get("x-api-key"), []string{"key"}) || !slices.Equal(received.Get("x-account"), []string{"alice"}) {
			t.Errorf("%v", received)
		}
	}
}

func TestPagesReadsAllPagesAndLeavesTheRequestAlone(t *testing.T) {
	_, address := serve(t, &stub{}, "127.0.0.1:0")
	request := &connectorv1.ListMessagesRequest{PageSize: 7}
	var found []string
	for page, err := range client.Pages(deadline(t), connect(t, address).Messages.ListMessages, request) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, page.GetMessages()[0].GetId())
	}
	if !slices.Equal(found, []string{`page "" of 7`, `page "2" of 7`, `page "3" of 7`}) || request.GetPageToken() != "" {
		t.Errorf("%q, then %q", found, request.GetPageToken())
	}
}

func TestFollowGoesOnAfterTheServerWasKilled(t *testing.T) {
	s := &stub{}
	blocked := func(stream grpc.ServerStreamingServer[connectorv1.SubscribeResponse]) error {
		<-stream.Context().Done()
		return stream.Context().Err()
	}
	s.subscribe = func(call int, stream grpc.ServerStreamingServer[connectorv1.SubscribeResponse]) error {
		_ = stream.Send(started())
		switch call {
		case 0:
			_ = stream.Send(events("t2", "1", "2"))
			return blocked(stream)
		case 1:
			drained, _ := status.New(codes.Unavailable, "draining").WithDetails(&errdetails.ErrorInfo{Reason: "DRAINING"})
			_ = stream.Send(events("t3", "3"))
			return drained.Err()
		case 2:
			_ = stream.Send(events("t4", "4"))
			return nil
		default:
			_ = stream.Send(events("t5", "5"))
			return blocked(stream)
		}
	}
	server, address := serve(t, s, "127.0.0.1:0")
	var ids, tokens []string
	connections := 0
	options := client.FollowOptions{OnConnected: func() { connections++ }}
	for received, err := range connect(t, address).Follow(deadline(t), options) {
		if err != nil {
			t.Fatal(err)
		}
		ids, tokens = append(ids, received.Event.GetId()), append(tokens, received.ResumeToken)
		if len(ids) == 2 {
			server.Stop()
			serve(t, s, address)
		}
		if len(ids) == 5 {
			break
		}
	}
	if !slices.Equal(ids, []string{"1", "2", "3", "4", "5"}) || !slices.Equal(tokens, []string{"", "t2", "t3", "t4", "t5"}) {
		t.Errorf("events %q, tokens %q", ids, tokens)
	}
	if !slices.Equal(s.starts, []string{"", "t2", "t3", "t4"}) || connections != 4 {
		t.Errorf("began after %q, %d connections", s.starts, connections)
	}
}

func TestFollowEndsWithARefusal(t *testing.T) {
	s := &stub{}
	s.subscribe = func(int, grpc.ServerStreamingServer[connectorv1.SubscribeResponse]) error {
		return status.Error(codes.PermissionDenied, "no")
	}
	_, address := serve(t, s, "127.0.0.1:0")
	for _, err := range connect(t, address).Follow(deadline(t), client.FollowOptions{After: "t9"}) {
		var told *client.Error
		if !errors.As(err, &told) || told.Code != codes.PermissionDenied {
			t.Errorf("%v", err)
		}
	}
	if !slices.Equal(s.starts, []string{"t9"}) {
		t.Errorf("began after %q", s.starts)
	}
}

func TestFollowLosesPatienceWithAServerThatStaysAway(t *testing.T) {
	server, address := serve(t, &stub{}, "127.0.0.1:0")
	server.Stop()
	for _, err := range connect(t, address).Follow(deadline(t), client.FollowOptions{Patience: time.Millisecond}) {
		if status.Code(err) != codes.Unavailable {
			t.Errorf("%v", err)
		}
	}
}

func TestFollowLeavesAStreamThatIsSilentForTooLong(t *testing.T) {
	s := &stub{}
	s.subscribe = func(call int, stream grpc.ServerStreamingServer[connectorv1.SubscribeResponse]) error {
		if call > 0 {
			return stream.Send(events("t1", "1"))
		}
		first := started()
		first.GetStarted().HeartbeatInterval = durationpb.New(0)
		_ = stream.Send(first)
		<-stream.Context().Done()
		return stream.Context().Err()
	}
	_, address := serve(t, s, "127.0.0.1:0")
	for received, err := range connect(t, address).Follow(deadline(t), client.FollowOptions{}) {
		if err != nil || received.Event.GetId() != "1" {
			t.Errorf("%v, %v", received, err)
		}
		break
	}
}

func TestAFileComesBackAsItWasUploaded(t *testing.T) {
	for _, size := range []int{0, 1, 256 * 1024, 1_000_000} {
		s := &stub{}
		_, address := serve(t, s, "127.0.0.1:0")
		connector := connect(t, address)
		content := bytes.Repeat([]byte{7}, size)
		file, err := connector.Upload(deadline(t), content, &connectorv1.UploadMetadata{Filename: "f"})
		if err != nil || file.GetFilename() != "f" {
			t.Fatalf("%d bytes: %v, %v", size, file, err)
		}
		stream, err := connector.Files.DownloadFile(deadline(t), &connectorv1.DownloadFileRequest{})
		if err != nil {
			t.Fatal(err)
		}
		file, found, err := client.Download(stream)
		if err != nil || file.GetFilename() != "f" || !bytes.Equal(found, content) {
			t.Errorf("%d bytes: %d came back, %v", size, len(found), err)
		}
	}
}

func TestAnUploadThatIsRefusedHalfwayTellsWhy(t *testing.T) {
	_, address := serve(t, &stub{}, "127.0.0.1:0")
	about := &connectorv1.UploadMetadata{Filename: "refused"}
	_, err := connect(t, address).Upload(deadline(t), make([]byte, 8<<20), about)
	var told *client.Error
	if !errors.As(err, &told) || told.Code != codes.ResourceExhausted {
		t.Errorf("%v", err)
	}
}

func TestADamagedDownloadIsAnError(t *testing.T) {
	_, address := serve(t, &stub{stored: []byte("content"), damaged: true}, "127.0.0.1:0")
	stream, err := connect(t, address).Files.DownloadFile(deadline(t), &connectorv1.DownloadFileRequest{})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = client.Download(stream)
	var told *client.Error
	if !errors.As(err, &told) || told.Code != codes.DataLoss {
		t.Errorf("%v", err)
	}
}
