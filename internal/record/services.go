package record

import (
	"strings"
)

// A request to Microsoft Graph, or of Global Secure Access (domain notes, logs 4.5).

func (r *Record) graphOperation() string {
	return first(text(r.value(nRequestMethod)), r.envelopeOperation())
}

func (r *Record) graphResult() string {
	return first(text(r.value(nResponseStatusCode)), text(find(r.root, nResultSignature)))
}

func (r *Record) graphCorrelation() string {
	return first(text(r.value(nOperationId)), text(find(r.root, nCorrelationId)))
}

func (r *Record) graphCaller() Party {
	address := Address(first(text(r.value(nIpAddress, nSourceIp)), text(find(r.root, nCallerIpAddress))))
	app := text(r.value(nAppId))
	if user := text(r.value(nUserId)); user != "" {
		return Party{Type: User, ID: user, UPN: text(r.value(nUserPrincipalName)), AppID: app, Address: address}
	}
	return Party{Type: ServicePrincipal, ID: text(r.value(nServicePrincipalId)), AppID: app, Address: address}
}

// A row of an advanced hunting table as Defender XDR streams it (learn.microsoft.com, defender-xdr/streaming-api-event-hub):
// the row is the record's properties, its columns are the table's.

func (r *Record) defenderOperation() string {
	return first(text(r.value(cActionType, cTitle, cEmailAction)), strings.TrimPrefix(r.Category, AdvancedHunting))
}

func (r *Record) defenderResult() string {
	if text(r.value(cFailureReason)) != "" {
		return "failure"
	}
	return ""
}

func (r *Record) defenderCorrelation() string {
	return first(text(r.value(cAlertId)), text(r.value(cNetworkMessageId)))
}

func (r *Record) account() Party {
	return Party{Type: User, ID: text(r.value(cAccountObjectId, cRecipientObjectId)), UPN: text(r.value(cAccountUpn, cRecipientEmailAddress)),
		Name: text(r.value(cAccountDisplayName)), Address: Address(text(r.value(cIPAddress, cRemoteIP, cSenderIPv4)))}
}

// What the partner part of Graph and Partner Center say: an alert or a fraud event is about a customer's tenant as a whole; an
// audit record names the partner's user who acted.

func (r *Record) partnerOperation() string {
	return first(text(r.value(nOperationType, nAlertType, nEventType)), r.envelopeOperation())
}

func (r *Record) partnerResult() string {
	return lower(text(r.value(nOperationStatus, nStatus, nEventStatus)))
}

func (r *Record) partnerActor() Party {
	if upn := text(r.value(nUserPrincipalName)); upn != "" {
		return Party{Type: User, UPN: upn, AppID: text(r.value(nApplicationId))}
	}
	if app := text(r.value(nApplicationId)); app != "" {
		return Party{Type: ServicePrincipal, AppID: app}
	}
	return Party{}
}

func (r *Record) partnerTargets() {
	if customer := text(r.value(nCustomerId, nCustomerTenantId)); customer != "" {
		dec := r.later.dec
		dec.targets = append(dec.targets, Target{Type: "Tenant", ID: customer, Name: text(r.value(nCustomerName))})
	}
}
