package entra

// The operations that the simulator writes, with the category, service and type under which Entra files them.
// Services other than Core Directory write records of their own beside it.
const (
	coreDirectory       = "Core Directory"
	authMethods         = "Authentication Methods"
	userManagement      = "UserManagement"
	roleManagement      = "RoleManagement"
	appManagement       = "ApplicationManagement"
	groupManagement     = "GroupManagement"
	directoryManagement = "DirectoryManagement"
)

func enableAccount() activity {
	return activity{"Enable account", userManagement, coreDirectory, "Update"}
}
func disableAccount() activity {
	return activity{"Disable account", userManagement, coreDirectory, "Update"}
}
func updateUser() activity { return activity{"Update user", userManagement, coreDirectory, "Update"} }
func addUser() activity    { return activity{"Add user", userManagement, coreDirectory, "Add"} }
func resetUserPassword() activity {
	return activity{"Reset user password", userManagement, coreDirectory, "Update"}
}
func changeUserPassword() activity {
	return activity{"Change user password", userManagement, coreDirectory, "Update"}
}
func updateRefreshTokens() activity {
	return activity{"Update StsRefreshTokenValidFrom Timestamp", userManagement, coreDirectory, "Update"}
}
func userRegistered() activity {
	return activity{"User registered security info", userManagement, authMethods, "Add"}
}
func userDeleted() activity {
	return activity{"User deleted security info", userManagement, authMethods, "Delete"}
}
func adminRegistered() activity {
	return activity{"Admin registered security info", userManagement, authMethods, "Add"}
}
func adminUpdated() activity {
	return activity{"Admin updated security info", userManagement, authMethods, "Update"}
}
func adminDeleted() activity {
	return activity{"Admin deleted security info", userManagement, authMethods, "Delete"}
}
func addMemberToRole() activity {
	return activity{"Add member to role", roleManagement, coreDirectory, "Assign"}
}
func removeMemberFromRole() activity {
	return activity{"Remove member from role", roleManagement, coreDirectory, "Unassign"}
}
func pimRemoved() activity {
	return activity{"Remove member from role in PIM completed (permanent)", roleManagement, "PIM", "Delete"}
}
func addServicePrincipal() activity {
	return activity{"Add service principal", appManagement, coreDirectory, "Add"}
}
func updateServicePrincipal() activity {
	return activity{"Update service principal", appManagement, coreDirectory, "Update"}
}
func addPrincipalCredentials() activity {
	return activity{"Add service principal credentials", appManagement, coreDirectory, "Update"}
}
func removePrincipalCredentials() activity {
	return activity{"Remove service principal credentials", appManagement, coreDirectory, "Update"}
}

// The en dash and the trailing blank are Microsoft's.
func updateApplicationSecrets() activity {
	return activity{"Update application – Certificates and secrets management ", appManagement, coreDirectory, "Update"}
}
func consentToApplication() activity {
	return activity{"Consent to application", appManagement, coreDirectory, "Assign"}
}
func addDelegatedGrant() activity {
	return activity{"Add delegated permission grant", appManagement, coreDirectory, "Assign"}
}
func removeDelegatedGrant() activity {
	return activity{"Remove delegated permission grant", appManagement, coreDirectory, "Unassign"}
}
func updateAuthorizationPolicy() activity {
	return activity{"Update authorization policy", "AuthorizationPolicy", coreDirectory, "Update"}
}
func addMemberToGroup() activity {
	return activity{"Add member to group", groupManagement, coreDirectory, "Assign"}
}
func confirmCompromised() activity {
	return activity{"ConfirmAccountCompromised", "Other", "Identity Protection", "Update"}
}
func dismissUser() activity {
	return activity{"DismissUser", "Other", "Identity Protection", "Update"}
}
func removePartner() activity {
	return activity{"Remove partner from company", directoryManagement, coreDirectory, "Delete"}
}

// Footprint is the audit operations that one change writes.
type Footprint struct {
	Change     string   // in words
	Request    string   // the call that makes it
	Operations []string // as Entra spells them, odd characters and all
}

// Footprints returns the operations of each change that Graph or Partner Center makes, in the order of the package
// comment. A change that changes nothing (disabling who is disabled) writes nothing, except revoking and resetting,
// which always move a time.
func Footprints() []Footprint {
	names := func(all ...activity) []string {
		var out []string
		for _, a := range all {
			out = append(out, a.name)
		}
		return out
	}
	return []Footprint{
		{"disable a user", "PATCH /users/{id} accountEnabled false", names(disableAccount(), updateUser())},
		{"enable a user", "PATCH /users/{id} accountEnabled true", names(enableAccount(), updateUser())},
		{"reset a password", "PATCH /users/{id} passwordProfile", names(resetUserPassword(), updateRefreshTokens())},
		{"revoke sessions", "POST /users/{id}/revokeSignInSessions", names(updateRefreshTokens())},
		{"delete a phone or authenticator", "DELETE /users/{id}/authentication/phoneMethods/{id}",
			names(adminDeleted(), updateUser())},
		{"delete another method", "DELETE /users/{id}/authentication/fido2Methods/{id}", names(adminDeleted())},
		{"add a phone", "POST /users/{id}/authentication/phoneMethods", names(adminRegistered(), updateUser())},
		{"change a phone", "PATCH /users/{id}/authentication/phoneMethods/{id}", names(adminUpdated(), updateUser())},
		{"give a role", "POST /roleManagement/directory/roleAssignments", names(addMemberToRole())},
		{"take a role", "DELETE /roleManagement/directory/roleAssignments/{id}", names(removeMemberFromRole())},
		{"take a role through PIM", "POST /roleManagement/directory/roleAssignmentScheduleRequests adminRemove",
			names(pimRemoved(), removeMemberFromRole())},
		{"add a grant, widen one", "POST /oauth2PermissionGrants, PATCH /oauth2PermissionGrants/{id}",
			names(addDelegatedGrant())},
		{"delete a grant, narrow one", "DELETE /oauth2PermissionGrants/{id}, PATCH /oauth2PermissionGrants/{id}",
			names(removeDelegatedGrant())},
		{"disable or enable a service principal", "PATCH /servicePrincipals/{id} accountEnabled",
			names(updateServicePrincipal())},
		{"write a service principal's notes", "PATCH /servicePrincipals/{id} notes", names(updateServicePrincipal())},
		{"remove a service principal's credential",
			"POST /servicePrincipals/{id}/removePassword, PATCH /servicePrincipals/{id} keyCredentials",
			names(removePrincipalCredentials())},
		{"remove an application's credential",
			"POST /applications/{id}/removePassword, PATCH /applications/{id} keyCredentials",
			names(updateApplicationSecrets())},
		{"confirm a user compromised", "POST /identityProtection/riskyUsers/confirmCompromised", names(confirmCompromised())},
		{"dismiss a user's risk", "POST /identityProtection/riskyUsers/dismiss", names(dismissUser())},
		{"restrict user consent", "PATCH /policies/authorizationPolicy", names(updateAuthorizationPolicy())},
		{"end GDAP", "POST /tenantRelationships/delegatedAdminRelationships/{id}/requests terminate", nil},
		{"remove DAP", "PATCH /v1/customers/{id} (Partner Center)", names(removePartner())},
	}
}
