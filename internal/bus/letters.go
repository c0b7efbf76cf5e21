package bus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/nats-io/nats.go/jetstream"
)

// PutObject stores bytes that are larger than a message and returns the name to find them by: their SHA-256.
func (b *Bus) PutObject(ctx context.Context, data []byte) (digest string, err error) {
	store, err := b.js.ObjectStore(ctx, objects)
	if err != nil {
		return "", fmt.Errorf("opening the object store: %w", err)
	}
	sum := sha256.Sum256(data)
	digest = hex.EncodeToString(sum[:])
	if _, err := store.PutBytes(ctx, digest, data); err != nil {
		return "", fmt.Errorf("storing an object: %w", err)
	}
	return digest, nil
}

// Object reads what PutObject stored, most bytes at most.
func (b *Bus) Object(ctx context.Context, digest string, most int64) ([]byte, error) {
	store, err := b.js.ObjectStore(ctx, objects)
	if err != nil {
		return nil, fmt.Errorf("opening the object store: %w", err)
	}
	object, err := store.Get(ctx, digest)
	if err != nil {
		return nil, fmt.Errorf("opening object %s: %w", digest, err)
	}
	defer object.Close()
	data, err := io.ReadAll(io.LimitReader(object, most+1))
	if err != nil {
		return nil, fmt.Errorf("reading object %s: %w", digest, err)
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("reading object %s: it is larger than %d bytes", digest, most)
	}
	return data, nil
}

// Remove deletes one message of a stream. One that has gone already is no error.
func (b *Bus) Remove(ctx context.Context, stream string, sequence uint64) error {
	s := b.Stream(stream)
	err := s.DeleteMsg(ctx, sequence)
	if err == nil {
		return nil
	}
	if _, gone := s.GetMsg(ctx, sequence); errors.Is(gone, jetstream.ErrMsgNotFound) {
		return nil
	}
	return fmt.Errorf("removing message %d of %s: %w", sequence, stream, err)
}

// Subjects lists the subjects of a stream that match filter and hold messages, with how many each holds.
func (b *Bus) Subjects(ctx context.Context, stream, filter string) (map[string]uint64, error) {
	info, err := b.Stream(stream).Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return nil, fmt.Errorf("listing the subjects of %s: %w", stream, err)
	}
	return info.State.Subjects, nil
}

// Fill tells how many bytes a stream holds, and how many it may; 0 is without bound.
func (b *Bus) Fill(ctx context.Context, stream string) (held, most int64, err error) {
	info, err := b.Stream(stream).Info(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("asking about stream %s: %w", stream, err)
	}
	return int64(min(info.State.Bytes, 1<<62)), max(info.Config.MaxBytes, 0), nil
}
