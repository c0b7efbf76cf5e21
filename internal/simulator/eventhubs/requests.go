package eventhubs

import (
	"strconv"

	"cordon/internal/simulator/amqp"
)

// maxUnreadReplies is how many requests a client may have answered without granting
// credit for the answers.
const maxUnreadReplies = 1000

// answer is the reply to a request.
type answer struct {
	status      int32 // one of HTTP
	description string
	body        any
}

// requests returns the sink of a node which answers messages with messages: both nodes
// of Event Hubs, for tokens and for management, work like this.
func (c *connection) requests(respond func(amqp.Message) answer) sink {
	return func(_ uint32, encoded []byte) *amqp.Error {
		request, err := amqp.DecodeMessage(encoded)
		if err != nil {
			return undecodable(err)
		}
		replies := c.replies[request.ReplyTo]
		if replies == nil {
			return notFound(request.ReplyTo)
		}
		if len(replies.queue) >= maxUnreadReplies {
			return refusal(conditionLimit, "%d replies were not read", len(replies.queue))
		}
		a := respond(request)
		reply, err := amqp.Message{
			CorrelationID: request.MessageID,
			ApplicationProperties: amqp.Map{
				{Key: "status-code", Value: a.status},
				{Key: "status-description", Value: a.description},
			},
			Value: a.body,
		}.Append(nil)
		if err != nil {
			return undecodable(err)
		}
		replies.queue = append(replies.queue, reply)
		return nil
	}
}

// putToken admits every client: who can connect may do everything.
func putToken(amqp.Message) answer { return answer{status: 202, description: "Accepted"} }

// describe answers a request for the properties of a hub or a partition.
func (n *Namespace) describe(request amqp.Message) answer {
	if request.ApplicationProperties.Get("operation") != "READ" {
		return answer{status: 400, description: "the operation is not supported"}
	}
	name, _ := request.ApplicationProperties.Get("name").(string)
	h := n.hub(name)
	if h == nil {
		return answer{status: 404, description: "the hub could not be found"}
	}
	switch kind, _ := request.ApplicationProperties.Get("type").(string); kind {
	case "com.microsoft:eventhub":
		ids := amqp.Array{}
		for _, p := range h.partitions {
			ids = append(ids, p.id)
		}
		return answer{status: 200, description: "OK", body: amqp.Map{
			{Key: "name", Value: h.name},
			{Key: "type", Value: kind},
			{Key: "created_at", Value: h.created},
			{Key: "partition_count", Value: int32(len(h.partitions))},
			{Key: "partition_ids", Value: ids},
			{Key: "georeplication_factor", Value: int32(1)},
		}}
	case "com.microsoft:partition":
		id, _ := request.ApplicationProperties.Get("partition").(string)
		p := h.find(id)
		if p == nil {
			return answer{status: 404, description: "the partition could not be found"}
		}
		sequence, last := p.last()
		return answer{status: 200, description: "OK", body: amqp.Map{
			{Key: "name", Value: h.name},
			{Key: "type", Value: kind},
			{Key: "partition", Value: id},
			{Key: "begin_sequence_number", Value: int64(0)},
			{Key: "last_enqueued_sequence_number", Value: sequence},
			{Key: "last_enqueued_offset", Value: strconv.FormatInt(last.offset, 10)},
			{Key: "last_enqueued_time_utc", Value: last.enqueued},
			{Key: "is_partition_empty", Value: sequence < 0},
		}}
	}
	return answer{status: 400, description: "the type is not supported"}
}
