package eventhubs

import (
	"fmt"

	"cordon/internal/simulator/amqp"
)

// The error conditions which clients are given. The SDK decides by them whether to try
// again, and with what: the link, the connection or not at all.
const (
	conditionFraming     = amqp.Symbol("amqp:connection:framing-error")
	conditionHandleInUse = amqp.Symbol("amqp:session:handle-in-use")
	conditionNotFound    = amqp.Symbol("amqp:not-found")
	conditionDecode      = amqp.Symbol("amqp:decode-error")
	conditionLimit       = amqp.Symbol("amqp:resource-limit-exceeded")
	conditionStolen      = amqp.Symbol("amqp:link:stolen")
	conditionTooLarge    = amqp.Symbol("amqp:link:message-size-exceeded")
	conditionOverCredit  = amqp.Symbol("amqp:link:transfer-limit-exceeded")
	conditionArgument    = amqp.Symbol("com.microsoft:argument-error")
	conditionOutOfRange  = amqp.Symbol("com.microsoft:argument-out-of-range")
)

// refusal is an error for the client. Where Event Hubs is known to say something in
// such a case, it is in the same words.
func refusal(condition amqp.Symbol, format string, args ...any) *amqp.Error {
	return &amqp.Error{Condition: condition, Description: fmt.Sprintf(format, args...)}
}

func notFound(address string) *amqp.Error {
	return refusal(conditionNotFound, "The messaging entity '%s' could not be found.", address)
}

func outOfRange(h *Hub, partition string) *amqp.Error {
	return refusal(conditionOutOfRange, "The specified partition is invalid: '%s' is not one of the %d of '%s'.",
		partition, len(h.partitions), h.name)
}

// undecodable refuses a message which the codec cannot read or write.
func undecodable(err error) *amqp.Error { return refusal(conditionDecode, "%v", err) }
