package record

import (
	"strings"
)

// graphActivity reads a request to Microsoft Graph, or of Global Secure Access (domain notes, logs 4.5).
func (r *Record) graphActivity() {
	r.Operation = first(text(r.value(nRequestMethod)), NormalOperation(text(find(r.root, nOperationName))))
	r.Result = first(text(r.value(nResponseStatusCode)), text(find(r.root, nResultSignature)))
	r.Correlation = first(text(r.value(nOperationId)), text(find(r.root, nCorrelationId)))
	address := Address(first(text(r.value(nIpAddress, nSourceIp)), text(find(r.root, nCallerIpAddress))))
	app := text(r.value(nAppId))
	if user := text(r.value(nUserId)); user != "" {
		r.Actor = Party{Type: User, ID: user, UPN: text(r.value(nUserPrincipalName)), AppID: app, Address: address}
		return
	}
	r.Actor = Party{Type: ServicePrincipal, ID: text(r.value(nServicePrincipalId)), AppID: app, Address: address}
}

// defender reads a row of an advanced hunting table as Defender XDR streams it (learn.microsoft.com,
// defender-xdr/streaming-api-event-hub): the row is the record's properties, its columns are the table's.
func (r *Record) defender() {
	r.Operation = first(text(r.value(cActionType, cTitle, cEmailAction)), strings.TrimPrefix(r.Category, AdvancedHunting))
	r.Correlation = first(text(r.value(cAlertId)), text(r.value(cNetworkMessageId)))
	r.Actor = Party{Type: User, ID: text(r.value(cAccountObjectId, cRecipientObjectId)), UPN: text(r.value(cAccountUpn, cRecipientEmailAddress)),
		Name: text(r.value(cAccountDisplayName)), Address: Address(text(r.value(cIPAddress, cRemoteIP, cSenderIPv4)))}
	if failure := text(r.value(cFailureReason)); failure != "" {
		r.Result = "failure"
	}
}

// partner reads what the partner part of Graph and Partner Center say: an alert or a fraud event is about a
// customer's tenant as a whole; an audit record names the partner's user who acted.
func (dec *Decoder) partner() {
	r := &dec.rec
	r.Operation = first(text(r.value(nOperationType, nAlertType, nEventType)), NormalOperation(text(find(r.root, nOperationName))))
	r.Result = lower(text(r.value(nOperationStatus, nStatus, nEventStatus)))
	if upn := text(r.value(nUserPrincipalName)); upn != "" {
		r.Actor = Party{Type: User, UPN: upn, AppID: text(r.value(nApplicationId))}
	} else if app := text(r.value(nApplicationId)); app != "" {
		r.Actor = Party{Type: ServicePrincipal, AppID: app}
	}
	if customer := text(r.value(nCustomerId, nCustomerTenantId)); customer != "" {
		dec.targets = append(dec.targets, Target{Type: "Tenant", ID: customer, Name: text(r.value(nCustomerName))})
		r.Targets = dec.targets
	}
}
