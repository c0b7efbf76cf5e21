package eventhubs

import (
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"time"

	"cordon/internal/simulator/amqp"
)

// partition is a log of events and the receivers which wait for its end.
type partition struct {
	id string

	mu      sync.Mutex
	events  []event // an event's index is its sequence number
	end     int64   // the offset of the next event
	readers map[*reader]struct{}
}

// event is stored as it goes over the wire: it is encoded once for all its receivers.
type event struct {
	message  []byte
	offset   int64
	enqueued time.Time // what the hub says
	wall     time.Time // when it was appended by this computer's clock
}

func newPartition(id string) *partition {
	return &partition{id: id, readers: map[*reader]struct{}{}}
}

// The annotations which the hub gives each event.
const (
	annotationSequence = "x-opt-sequence-number"
	annotationOffset   = "x-opt-offset"
	annotationTime     = "x-opt-enqueued-time"
)

func (p *partition) append(m amqp.Message, at time.Time) (Position, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	position := Position{Partition: p.id, Sequence: int64(len(p.events)), Offset: strconv.FormatInt(p.end, 10)}
	annotations := amqp.Map{
		{Key: amqp.Symbol(annotationSequence), Value: position.Sequence},
		{Key: amqp.Symbol(annotationOffset), Value: position.Offset},
		{Key: amqp.Symbol(annotationTime), Value: at},
	}
	// What a producer says of its own is kept behind these, so that it cannot pretend
	// to be the hub: events forwarded out of another hub carry that one's annotations.
	for _, own := range m.Annotations {
		if key, ok := own.Key.(amqp.Symbol); ok && annotations.Get(string(key)) == nil {
			annotations = append(annotations, own)
		}
	}
	m.Annotations = annotations
	message, err := m.Append(nil)
	if err != nil {
		return Position{}, fmt.Errorf("appending to partition %s: %w", p.id, err)
	}
	p.events = append(p.events, event{message: message, offset: p.end, enqueued: at, wall: time.Now()})
	p.end += int64(len(message))
	for r := range p.readers {
		r.wake()
	}
	return position, nil
}

// at returns the event with a sequence number.
func (p *partition) at(sequence int64) (event, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if sequence < 0 || sequence >= int64(len(p.events)) {
		return event{}, false
	}
	return p.events[sequence], true
}

// last returns the last event; if there is none its sequence number and offset are -1.
func (p *partition) last() (int64, event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lastLocked()
}

func (p *partition) lastLocked() (int64, event) {
	if len(p.events) == 0 {
		return -1, event{offset: -1}
	}
	return int64(len(p.events)) - 1, p.events[len(p.events)-1]
}

// selectorPattern is the one form of filter which Event Hubs knows.
var selectorPattern = regexp.MustCompile(`^amqp\.annotation\.(x-opt-[a-z-]+) *(>=?) *'?(-?[0-9]+|@latest)'?$`)

// start returns the sequence number of the first event which a selector lets through.
// A position behind the last event is an error as it is in Azure: the checkpoint of a
// client belongs to another hub then.
func (p *partition) start(selector string) (int64, *amqp.Error) {
	if selector == "" {
		return 0, nil
	}
	invalid := refusal(conditionArgument, "The supplied filter %q is invalid.", selector)
	match := selectorPattern.FindStringSubmatch(selector)
	if match == nil {
		return 0, invalid
	}
	field, inclusive, value := match[1], match[2] == ">=", match[3]

	p.mu.Lock()
	defer p.mu.Unlock()
	sequence, last := p.lastLocked()
	if value == "@latest" {
		if inclusive && sequence >= 0 {
			return sequence, nil
		}
		return sequence + 1, nil
	}
	wanted, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return 0, invalid
	}
	position := func(sequence int64, e event) int64 { return sequence }
	name, end := "sequence number", sequence
	switch field {
	case annotationSequence:
	case annotationOffset:
		position = func(_ int64, e event) int64 { return e.offset }
		name, end = "offset", last.offset
	case annotationTime:
		position = func(_ int64, e event) int64 { return e.enqueued.UnixMilli() }
		end = wanted // a time which has not come yet is no error
	default:
		return 0, invalid
	}
	if wanted > end {
		return 0, refusal(conditionArgument, "The supplied %s '%d' is invalid. The last %s in the system is '%d'",
			name, wanted, name, end)
	}
	for i, e := range p.events {
		if at := position(int64(i), e); at > wanted || inclusive && at == wanted {
			return int64(i), nil
		}
	}
	return sequence + 1, nil
}

// claim lets r receive the partition's events, if the receivers of its consumer group
// leave it to them. One with an epoch is alone in its group: it drives out all others
// whose epoch is not higher, and among equals the last one wins.
func (p *partition) claim(r *reader) *amqp.Error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for other := range p.readers {
		if other.group != r.group || other.epoch == nil {
			continue
		}
		if r.epoch == nil {
			return refusal(conditionStolen, "At least one receiver for the endpoint is created with epoch of '%d', "+
				"and so non-epoch receiver is not allowed.", *other.epoch)
		}
		if *r.epoch < *other.epoch {
			return refusal(conditionStolen, "Receiver '%s' with a higher epoch '%d' already exists. "+
				"Receiver '%s' with epoch %d cannot be created.", other.name, *other.epoch, r.name, *r.epoch)
		}
	}
	if r.epoch != nil {
		for other := range p.readers {
			if other.group == r.group {
				delete(p.readers, other)
				other.lose(refusal(conditionStolen, "New receiver '%s' with higher epoch of '%d' is created "+
					"hence current receiver '%s' is getting disconnected.", r.name, *r.epoch, other.name))
			}
		}
	}
	p.readers[r] = struct{}{}
	return nil
}

// owner names the receiver that is alone with the partition, if there is one.
func (p *partition) owner() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for r := range p.readers {
		if r.epoch != nil {
			return r.name
		}
	}
	return ""
}

func (p *partition) release(r *reader) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.readers, r)
}
