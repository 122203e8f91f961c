package client

import (
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// FieldViolation is one field of a request and what is wrong with it.
type FieldViolation struct {
	Field       string
	Description string
}

// Error is a call that the Connector refused, or that did not reach it.
type Error struct {
	// Code is the gRPC status.
	Code codes.Code
	// Message is the text, without the reason.
	Message string
	// Reason says why, in a word of the contract's ErrorReason (RELATIONSHIP_NOT_ACTIVE). Empty when the status did not come from the
	// Connector, such as Unavailable of a lost connection.
	Reason string
	// OfficialCode is the code of the official Connector for the same situation (error.transport.…), where one exists.
	OfficialCode string
	// Facts hold what varies in the text.
	Facts map[string]string
	// Violations are the fields that are wrong.
	Violations []FieldViolation
	// RetryAfter says when a repeat makes sense; zero: it was not said.
	RetryAfter time.Duration
	// CorrelationID is what to look for in the Connector's log; empty when nothing came back.
	CorrelationID string

	cause error
}

// Error returns the reason, or else the status, and the text.
func (e *Error) Error() string {
	if e.Reason != "" {
		return fmt.Sprintf("%s: %s", e.Reason, e.Message)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Message)
}

// Unwrap returns the error of the call itself.
func (e *Error) Unwrap() error {
	return e.cause
}

// GRPCStatus returns the status, so that status.Code and status.FromError work with an *Error.
func (e *Error) GRPCStatus() *status.Status {
	if e.cause != nil {
		return status.Convert(e.cause)
	}
	return status.New(e.Code, e.Message)
}

// errorOf returns what a failed call tells; io.EOF and nil stay what they are.
func errorOf(err error, sources ...metadata.MD) error {
	var known *Error
	if err == nil || errors.Is(err, io.EOF) || errors.As(err, &known) {
		return err
	}
	told := status.Convert(err)
	result := &Error{Code: told.Code(), Message: told.Message(), cause: err}
	for _, detail := range told.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			result.Reason, result.Facts = detail.GetReason(), detail.GetMetadata()
			result.OfficialCode = result.Facts["code"]
		case *errdetails.BadRequest:
			for _, violation := range detail.GetFieldViolations() {
				result.Violations = append(result.Violations, FieldViolation{violation.GetField(), violation.GetDescription()})
			}
		case *errdetails.RetryInfo:
			result.RetryAfter = detail.GetRetryDelay().AsDuration()
		}
	}
	for _, source := range sources {
		if values := source.Get("x-correlation-id"); len(values) > 0 && result.CorrelationID == "" {
			result.CorrelationID = values[0]
		}
	}
	return result
}
