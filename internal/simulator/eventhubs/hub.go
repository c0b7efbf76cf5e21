package eventhubs

import (
	"hash/fnv"
	"strconv"
	"sync/atomic"
	"time"

	"cordon/internal/simulator/amqp"
)

// batchFormat marks a message whose data sections are messages themselves, which is
// how the SDK publishes batches.
const batchFormat = 0x80013700

// Hub is an event hub.
type Hub struct {
	name       string
	created    time.Time
	partitions []*partition
	turn       atomic.Uint32 // distributes events which name neither partition nor key
}

// Position is where an event ended up.
type Position struct {
	Partition string
	Sequence  int64
	Offset    string
}

func newHub(name string, partitions int) *Hub {
	h := &Hub{name: name, created: time.Now()}
	for i := range partitions {
		h.partitions = append(h.partitions, newPartition(strconv.Itoa(i)))
	}
	return h
}

// Partitions returns the number of partitions. Those are numbered from 0; the other
// methods panic if given another number.
func (h *Hub) Partitions() int { return len(h.partitions) }

// Enqueue appends an event with the given body, as if it had reached the hub at the
// time at, and wakes up receivers. It keeps no reference to body.
func (h *Hub) Enqueue(partition int, body []byte, at time.Time) Position {
	position, err := h.partitions[partition].append(amqp.Message{Data: [][]byte{body}}, at)
	if err != nil {
		panic(err) // the codec knows all types of such a message
	}
	return position
}

// EnqueuedWall returns the time by this computer's clock at which an event was
// appended, from which tests measure latencies.
func (h *Hub) EnqueuedWall(partition int, sequence int64) (time.Time, bool) {
	event, ok := h.partitions[partition].at(sequence)
	return event.wall, ok
}

// Last returns the last sequence number of a partition, -1 if it is empty.
func (h *Hub) Last(partition int) int64 {
	sequence, _ := h.partitions[partition].last()
	return sequence
}

// Owners returns the names by which the receivers with an epoch call themselves, partition by partition; empty where
// there is none.
func (h *Hub) Owners() []string {
	owners := make([]string, len(h.partitions))
	for i, p := range h.partitions {
		owners[i] = p.owner()
	}
	return owners
}

// find returns the partition with an id, or nil.
func (h *Hub) find(id string) *partition {
	for _, p := range h.partitions {
		if p.id == id {
			return p
		}
	}
	return nil
}

// publisher returns what takes the messages of a producer: for one partition, or if
// that is nil for any, by their key or in turn.
func (h *Hub) publisher(fixed *partition) sink {
	return func(format uint32, encoded []byte) *amqp.Error {
		envelope, err := amqp.DecodeMessage(encoded)
		if err != nil {
			return undecodable(err)
		}
		messages := []amqp.Message{envelope}
		if format == batchFormat {
			messages = make([]amqp.Message, len(envelope.Data))
			for i, data := range envelope.Data {
				if messages[i], err = amqp.DecodeMessage(data); err != nil {
					return undecodable(err)
				}
			}
		}
		p, now := fixed, time.Now()
		if p == nil {
			p = h.choose(envelope)
		}
		for _, m := range messages {
			if _, err := p.append(m, now); err != nil {
				return undecodable(err)
			}
		}
		return nil
	}
}

// choose returns the partition for a message which names none.
func (h *Hub) choose(m amqp.Message) *partition {
	number := h.turn.Add(1) - 1
	if key, ok := m.Annotations.Get("x-opt-partition-key").(string); ok {
		hash := fnv.New32a()
		_, _ = hash.Write([]byte(key)) // a hash never fails
		number = hash.Sum32()
	}
	return h.partitions[number%uint32(len(h.partitions))]
}
