// Package entra is a simulated Microsoft Entra tenant, for tests, `cordon try` and `cordon simulate` alone: the
// directory, Microsoft Graph v1.0 in front of it on a real socket, the sign-in service that attackers and ordinary
// people call in process, and the log records that Entra would write for all of it. Nothing else in Cordon may know
// that it exists.
//
// The wire is the border: Cordon sees HTTP answers with Graph's error bodies, paging, default properties and role
// hierarchy, and log records as Azure Monitor ships them. Those who act in process (SignIn, Session, AppSession) change
// the same state under the same rules, so that containment by Cordon refuses the attacker's next call.
//
// # What each change writes
//
// The audit operations of each change, which [Footprints] returns too:
//
//	disable a user                           Disable account; Update user
//	enable a user                            Enable account; Update user
//	reset a password                         Reset user password; Update StsRefreshTokenValidFrom Timestamp
//	revoke sessions                          Update StsRefreshTokenValidFrom Timestamp
//	delete a phone or authenticator          Admin deleted security info; Update user
//	delete another method                    Admin deleted security info
//	add a phone                              Admin registered security info; Update user
//	change a phone                           Admin updated security info; Update user
//	give a role                              Add member to role
//	take a role                              Remove member from role
//	take a role through PIM                  Remove member from role in PIM completed (permanent); Remove member from role
//	add a grant, widen one                   Add delegated permission grant
//	delete a grant, narrow one               Remove delegated permission grant
//	disable or enable a service principal    Update service principal
//	write a service principal's notes        Update service principal
//	remove a service principal's credential  Remove service principal credentials
//	remove an application's credential       Update application – Certificates and secrets management
//	confirm a user compromised               ConfirmAccountCompromised
//	dismiss a user's risk                    DismissUser
//	restrict user consent                    Update authorization policy
//	end GDAP                                 nothing in AuditLogs
//	remove DAP                               Remove partner from company, in the customer's tenant
//
// Of the pair that PIM writes, Core Directory's record names MS-PIM as its initiator; "Remove partner from company"
// names Partner Center. All others name the application whose token made the call. A person's own acts add: Add user;
// Add service principal; Consent to application; Add service principal credentials; User registered security info;
// User deleted security info; Change user password; Add member to group.
//
// # The logs
//
// What the tenant writes can be read through Graph as well: auditLogs/directoryAudits, and auditLogs/signIns (v1.0:
// interactive ones, with all of beta's properties; beta: those of one kind of sign-in). AddLog puts other objects into
// identityProtection's lists, into beta's security/partner/securityAlerts and into what security/auditLog/queries finds.
//
// # What it does not do
//
// No $batch, no $search, no $orderby but for logs, no delta, no throttling of its own (Graph.Fail injects it), no
// groups but those that hold roles, devices, Conditional Access or restricted administrative units, no delegated tokens, no expiry of tokens.
// Propagation is immediate, except for the termination of GDAP.
package entra
