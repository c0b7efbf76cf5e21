package record

import (
	"strings"
)

// graphActivity reads a request to Microsoft Graph, or of Global Secure Access (domain notes, logs 4.5).
func (r *Record) graphActivity() {
	r.Operation = first(text(r.value("requestMethod")), NormalOperation(text(find(r.root, "operationName"))))
	r.Result = first(text(r.value("responseStatusCode")), text(find(r.root, "resultSignature")))
	r.Correlation = first(text(r.value("operationId")), text(find(r.root, "correlationId")))
	address := Address(first(text(r.value("ipAddress", "sourceIp")), text(find(r.root, "callerIpAddress"))))
	app := text(r.value("appId"))
	if user := text(r.value("userId")); user != "" {
		r.Actor = Party{Type: User, ID: user, UPN: text(r.value("userPrincipalName")), AppID: app, Address: address}
		return
	}
	r.Actor = Party{Type: ServicePrincipal, ID: text(r.value("servicePrincipalId")), AppID: app, Address: address}
}

// defender reads a row of an advanced hunting table as Defender XDR streams it (learn.microsoft.com,
// defender-xdr/streaming-api-event-hub): the row is the record's properties, its columns are the table's.
func (r *Record) defender() {
	r.Operation = first(text(r.value("ActionType", "Title", "EmailAction")), strings.TrimPrefix(r.Category, AdvancedHunting))
	r.Correlation = first(text(r.value("AlertId")), text(r.value("NetworkMessageId")))
	r.Actor = Party{Type: User, ID: text(r.value("AccountObjectId", "RecipientObjectId")), UPN: text(r.value("AccountUpn", "RecipientEmailAddress")),
		Name: text(r.value("AccountDisplayName")), Address: Address(text(r.value("IPAddress", "RemoteIP", "SenderIPv4")))}
	if failure := text(r.value("FailureReason")); failure != "" {
		r.Result = "failure"
	}
}

// partner reads what the partner part of Graph and Partner Center say: an alert or a fraud event is about a
// customer's tenant as a whole; an audit record names the partner's user who acted.
func (r *Record) partner() {
	r.Operation = first(text(r.value("operationType", "alertType", "eventType")), NormalOperation(text(find(r.root, "operationName"))))
	r.Result = lower(text(r.value("operationStatus", "status", "eventStatus")))
	if upn := text(r.value("userPrincipalName")); upn != "" {
		r.Actor = Party{Type: User, UPN: upn, AppID: text(r.value("applicationId"))}
	} else if app := text(r.value("applicationId")); app != "" {
		r.Actor = Party{Type: ServicePrincipal, AppID: app}
	}
	if customer := text(r.value("customerId", "customerTenantId")); customer != "" {
		r.Targets = []Target{{Type: "Tenant", ID: customer, Name: text(r.value("customerName"))}}
	}
}
