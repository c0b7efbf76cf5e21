package eventhubs

import (
	"sync/atomic"

	"cordon/internal/simulator/amqp"
)

// source is what a link to a receiving client is fed from.
type source interface {
	// open readies the source, or says why its link must end at once.
	open() *amqp.Error
	// take returns the next encoded message, if there is one.
	take() ([]byte, bool)
	// lost returns why the link must end now, or nil.
	lost() *amqp.Error
	// release ends the use of an opened source.
	release()
}

// sink takes a whole message of a sending client, or says why it rejects it.
type sink func(format uint32, message []byte) *amqp.Error

// reader is the source of a client which receives from a partition. The connection
// which it belongs to uses it alone, but partitions wake it up and take it away.
type reader struct {
	partition *partition
	group     string
	name      string // what the client calls itself
	epoch     *int64
	selector  string
	next      int64 // the sequence number of the next event to be sent
	wake      func()
	loss      atomic.Pointer[amqp.Error]
}

func (r *reader) open() *amqp.Error {
	next, err := r.partition.start(r.selector)
	if err != nil {
		return err
	}
	r.next = next
	return r.partition.claim(r)
}

func (r *reader) take() ([]byte, bool) {
	event, ok := r.partition.at(r.next)
	if ok {
		r.next++
	}
	return event.message, ok
}

func (r *reader) lose(cause *amqp.Error) {
	r.loss.Store(cause)
	r.wake()
}

func (r *reader) lost() *amqp.Error { return r.loss.Load() }
func (r *reader) release()          { r.partition.release(r) }

// replies is the source of a client which waits for the answers to its requests.
type replies struct {
	connection *connection
	address    string
	queue      [][]byte
}

func (r *replies) open() *amqp.Error {
	r.connection.replies[r.address] = r
	return nil
}

func (r *replies) take() ([]byte, bool) {
	if len(r.queue) == 0 {
		return nil, false
	}
	message := r.queue[0]
	r.queue = r.queue[1:]
	return message, true
}

func (r *replies) lost() *amqp.Error { return nil }

func (r *replies) release() {
	if r.connection.replies[r.address] == r {
		delete(r.connection.replies, r.address)
	}
}
