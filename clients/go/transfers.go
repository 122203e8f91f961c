package client

import (
	"bytes"
	"context"
	"crypto/sha512"
	"errors"
	"io"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	connectorv1 "connector.enmeshed/client/gen/enmeshed/connector/v1"
)

const chunkBytes = 256 * 1024

// Upload uploads a file and returns what became of it, with its reference. The size in the metadata is taken from the content. After an
// error nothing of it is left at the Connector.
func (c *Connector) Upload(
	ctx context.Context, content []byte, about *connectorv1.UploadMetadata,
) (*connectorv1.File, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.Files.UploadFile(ctx)
	if err != nil {
		return nil, err
	}
	about = proto.CloneOf(about)
	about.SizeBytes = int64(len(content))
	frames := []*connectorv1.UploadFileRequest{{Frame: &connectorv1.UploadFileRequest_Metadata{Metadata: about}}}
	for start := 0; start < len(content); start += chunkBytes {
		chunk := content[start:min(start+chunkBytes, len(content))]
		frames = append(frames, &connectorv1.UploadFileRequest{Frame: &connectorv1.UploadFileRequest_Chunk{Chunk: chunk}})
	}
	digest := sha512.Sum512(content)
	frames = append(frames, &connectorv1.UploadFileRequest{
		Frame: &connectorv1.UploadFileRequest_Digest{Digest: &connectorv1.TransferDigest{Sha512: digest[:]}},
	})
	for _, frame := range frames {
		if err := stream.Send(frame); errors.Is(err, io.EOF) {
			// The Connector has answered already; CloseAndRecv tells what.
			break
		} else if err != nil {
			return nil, errorOf(err)
		}
	}
	answer, err := stream.CloseAndRecv()
	if err != nil {
		return nil, err
	}
	return answer.GetFile(), nil
}

// Frame is a frame of a download.
type Frame interface {
	GetMetadata() *connectorv1.DownloadMetadata
	GetChunk() []byte
	GetDigest() *connectorv1.TransferDigest
}

// Download reads the stream of Files.DownloadFile or Messages.DownloadAttachment to its end and checks it. A file that did not arrive
// whole is an *Error with the code DataLoss.
func Download[F Frame](stream interface{ Recv() (F, error) }) (*connectorv1.File, []byte, error) {
	var about *connectorv1.DownloadMetadata
	var content bytes.Buffer
	var expected []byte
	digest := sha512.New()
	for {
		frame, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		if frame.GetMetadata() != nil {
			about = frame.GetMetadata()
		} else if chunk := frame.GetChunk(); chunk != nil {
			content.Write(chunk)
			digest.Write(chunk)
			// The digest comes last.
			expected = nil
		} else if frame.GetDigest() != nil {
			expected = frame.GetDigest().GetSha512()
		}
	}
	if about == nil || !bytes.Equal(digest.Sum(nil), expected) || int64(content.Len()) != about.GetSizeBytes() {
		return nil, nil, &Error{Code: codes.DataLoss, Reason: "TRANSFER_INCOMPLETE", Message: "the file did not arrive whole"}
	}
	return about.GetFile(), content.Bytes(), nil
}
