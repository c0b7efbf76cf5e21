package eventhubs

import (
	"strings"

	"cordon/internal/simulator/amqp"
)

// The names by which clients say what they want.
const (
	addressCBS           = "$cbs"
	addressManagement    = "$management"
	filterSelector       = "apache.org:selector-filter:string"
	propertyEpoch        = "com.microsoft:epoch"
	propertyReceiverName = "com.microsoft:receiver-name"
)

// source finds what the client which attaches wants to receive.
func (c *connection) source(a *amqp.Attach) (source, *amqp.Error) {
	address, reply := "", ""
	if a.Source != nil {
		address = a.Source.Address
	}
	if a.Target != nil {
		reply = a.Target.Address
	}
	if address == addressCBS || address == addressManagement {
		return &replies{connection: c, address: reply}, nil
	}
	name, path, _ := strings.Cut(address, "/")
	hub := c.namespace.hub(name)
	parts := strings.Split(path, "/")
	if hub == nil || len(parts) != 4 || parts[0] != "ConsumerGroups" || parts[2] != "Partitions" {
		return nil, notFound(address)
	}
	p := hub.find(parts[3])
	if p == nil {
		return nil, outOfRange(hub, parts[3])
	}
	r := &reader{partition: p, group: parts[1], wake: c.wakeUp}
	if epoch, ok := a.Properties.Get(propertyEpoch).(int64); ok {
		r.epoch = &epoch
	}
	r.name, _ = a.Properties.Get(propertyReceiverName).(string)
	if filter, ok := a.Source.Filter.Get(filterSelector).(amqp.Described); ok {
		r.selector, _ = filter.Value.(string)
	}
	return r, nil
}

// sink finds what the client which attaches wants to send to.
func (c *connection) sink(a *amqp.Attach) (sink, *amqp.Error) {
	address := ""
	if a.Target != nil {
		address = a.Target.Address
	}
	switch address {
	case addressCBS:
		return c.requests(putToken), nil
	case addressManagement:
		return c.requests(c.namespace.describe), nil
	}
	name, path, _ := strings.Cut(address, "/")
	hub := c.namespace.hub(name)
	if hub == nil {
		return nil, notFound(address)
	}
	id, partitioned := strings.CutPrefix(path, "Partitions/")
	switch p := hub.find(id); {
	case path == "":
		return hub.publisher(nil), nil
	case !partitioned:
		return nil, notFound(address)
	case p == nil:
		return nil, outOfRange(hub, id)
	default:
		return hub.publisher(p), nil
	}
}
