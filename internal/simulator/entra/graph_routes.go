package entra

// The permissions that several routes share, from Microsoft's permission table: any one is enough.
func readUsers() []string {
	return []string{"User.Read.All", "User.ReadBasic.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"}
}

func writeUsers() []string {
	return []string{"User.EnableDisableAccount.All", "User-PasswordProfile.ReadWrite.All", "User.ReadWrite.All", "Directory.ReadWrite.All"}
}

func readMethods() []string {
	return []string{"UserAuthenticationMethod.Read.All", "UserAuthenticationMethod.ReadWrite.All"}
}

func readRoles() []string {
	return []string{"RoleManagement.Read.Directory", "RoleManagement.ReadWrite.Directory", "Directory.Read.All", "Directory.ReadWrite.All"}
}

func readGrants() []string {
	return []string{"Directory.Read.All", "Directory.ReadWrite.All", "DelegatedPermissionGrant.ReadWrite.All"}
}

func writeGrants() []string {
	return []string{"DelegatedPermissionGrant.ReadWrite.All", "Directory.ReadWrite.All"}
}

func readApps() []string {
	return []string{"Application.Read.All", "Application.ReadWrite.All", "Application.ReadWrite.OwnedBy", "Directory.Read.All", "Directory.ReadWrite.All"}
}

func writePrincipals() []string {
	return []string{"Application.ReadWrite.All", "Directory.ReadWrite.All"}
}

// patchPrincipals adds the permission that is for the objects which the caller owns: the handler checks whose it is.
func patchPrincipals() []string { return append(writePrincipals(), "Application.ReadWrite.OwnedBy") }

func readRelationships() []string {
	return []string{"DelegatedAdminRelationship.Read.All", "DelegatedAdminRelationship.ReadWrite.All"}
}

// anyMethod is for the routes of authentication methods, whose permission depends on the method's kind: the handler
// checks it.
func anyMethod(access string) []string {
	out := []string{"UserAuthenticationMethod.ReadWrite.All"}
	if access == "Read" {
		out = append(out, "UserAuthenticationMethod.Read.All")
	}
	for _, name := range methodPermissions() {
		out = append(out, "UserAuthMethod-"+name+".ReadWrite.All")
		if access == "Read" {
			out = append(out, "UserAuthMethod-"+name+".Read.All")
		}
	}
	return out
}

// routes is what of Graph there is, in reading order.
func routes() []route {
	const (
		get, post, patch, del = "GET", "POST", "PATCH", "DELETE"
		roles                 = "roleManagement/directory/roleAssignments"
		gdap                  = "tenantRelationships/delegatedAdminRelationships"
	)
	return append(logRoutes(), []route{
		{get, "users", readUsers(), listUsers},
		{get, "users/{id}", readUsers(), getUser},
		{patch, "users/{id}", writeUsers(), patchUser},
		{post, "users/{id}/revokeSignInSessions",
			[]string{"User.RevokeSessions.All", "User.ReadWrite.All", "Directory.ReadWrite.All"}, revokeSessions},

		{get, "users/{id}/authentication/methods", readMethods(), listMethods},
		{get, "users/{id}/authentication/{kind}", anyMethod("Read"), listMethodsOfKind},
		{post, "users/{id}/authentication/{kind}", anyMethod("ReadWrite"), postMethod},
		{get, "users/{id}/authentication/{kind}/{method}", anyMethod("Read"), getMethod},
		{patch, "users/{id}/authentication/{kind}/{method}", anyMethod("ReadWrite"), patchMethod},
		{del, "users/{id}/authentication/{kind}/{method}", anyMethod("ReadWrite"), deleteMethod},

		{get, roles, readRoles(), listAssignments},
		{post, roles, []string{"RoleManagement.ReadWrite.Directory"}, postAssignment},
		{get, roles + "/{id}", readRoles(), getAssignment},
		{del, roles + "/{id}", []string{"RoleManagement.ReadWrite.Directory"}, deleteAssignment},
		{get, "roleManagement/directory/roleDefinitions", readRoles(), listDefinitions},
		{get, "roleManagement/directory/roleDefinitions/{id}", readRoles(), getDefinition},
		{get, "roleManagement/directory/roleEligibilityScheduleInstances",
			append(readRoles(), "RoleEligibilitySchedule.Read.Directory", "RoleEligibilitySchedule.ReadWrite.Directory"),
			listEligible},
		{post, "roleManagement/directory/roleAssignmentScheduleRequests",
			[]string{"RoleAssignmentSchedule.ReadWrite.Directory", "RoleAssignmentSchedule.Remove.Directory",
				"RoleManagement.ReadWrite.Directory"}, postScheduleRequest},

		{get, "groups/{id}/transitiveMembers", []string{"GroupMember.Read.All", "Group.Read.All", "Group.ReadWrite.All",
			"Directory.Read.All", "Directory.ReadWrite.All"}, listMembers},

		{get, "oauth2PermissionGrants", readGrants(), listGrants},
		{post, "oauth2PermissionGrants", writeGrants(), postGrant},
		{get, "oauth2PermissionGrants/{id}", readGrants(), getGrant},
		{patch, "oauth2PermissionGrants/{id}", writeGrants(), patchGrant},
		{del, "oauth2PermissionGrants/{id}", writeGrants(), deleteGrant},

		{get, "servicePrincipals", readApps(), listPrincipals},
		{get, "servicePrincipals/{id}", readApps(), getPrincipal},
		{get, "servicePrincipals()/{appId}", readApps(), getPrincipal},
		{patch, "servicePrincipals/{id}", patchPrincipals(), patchPrincipal},
		{patch, "servicePrincipals()/{appId}", patchPrincipals(), patchPrincipal},
		{post, "servicePrincipals/{id}/removePassword", writePrincipals(), removePrincipalPassword},
		{get, "servicePrincipals/{id}/appRoleAssignments", readApps(), listAppRoles},
		{get, "applications", readApps(), listApplications},
		{get, "applications/{id}", readApps(), getApplication},
		{get, "applications()/{appId}", readApps(), getApplication},
		{patch, "applications/{id}", []string{"Application.ReadWrite.All"}, patchApplication},
		{patch, "applications()/{appId}", []string{"Application.ReadWrite.All"}, patchApplication},
		{post, "applications/{id}/removePassword", []string{"Application.ReadWrite.All"}, removeApplicationPassword},

		{post, "identityProtection/riskyUsers/confirmCompromised", []string{"IdentityRiskyUser.ReadWrite.All"}, confirmRisky},
		{post, "identityProtection/riskyUsers/dismiss", []string{"IdentityRiskyUser.ReadWrite.All"}, dismissRisky},
		{get, "identityProtection/riskyUsers/{id}",
			[]string{"IdentityRiskyUser.Read.All", "IdentityRiskyUser.ReadWrite.All"}, getRisky},

		{get, "policies/authorizationPolicy", []string{"Policy.Read.All", "Policy.ReadWrite.Authorization"}, getPolicy},
		{patch, "policies/authorizationPolicy", []string{"Policy.ReadWrite.Authorization"}, patchPolicy},
		{get, "subscribedSkus", []string{"LicenseAssignment.Read.All", "Organization.Read.All", "Directory.Read.All",
			"Directory.ReadWrite.All"}, listSkus},
		{get, "organization", []string{"Organization.Read.All", "User.Read.All", "Directory.Read.All",
			"Directory.ReadWrite.All"}, listOrganization},

		{get, gdap, readRelationships(), listRelationships},
		{get, gdap + "/{id}", readRelationships(), getRelationship},
		{get, gdap + "/{id}/requests", readRelationships(), listRelationshipRequests},
		{post, gdap + "/{id}/requests", []string{"DelegatedAdminRelationship.ReadWrite.All"}, postRelationshipRequest},
		{get, gdap + "/{id}/requests/{request}", readRelationships(), getRelationshipRequest},
	}...)
}
