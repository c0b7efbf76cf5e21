package actions

// Catalogue is every action, in the order of the phases.
var Catalogue = []Action{
	// confirm: read
	userProfile,
	userRoles,
	userMethods,
	userGrants,
	userSignIns,
	applicationProfile,
	applicationGrants,
	tenantLicences,
	tenantPartners,
	tenantConsentPolicy,

	// contain
	userDisable,
	userRevokeSessions,
	userConfirmCompromised,
	userResetPassword,
	methodRestore,
	roleRemove,
	applicationDisable,
	applicationRemoveCredential,
	grantDelete,
	partnerTerminateGDAP,
	partnerRemoveDAP,

	// secure
	policyDisableUserConsent,
	userEnable,

	// improve
	reportWrite,
}
