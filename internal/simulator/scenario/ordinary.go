package scenario

import (
	"cordon/internal/simulator/entra"
)

// ordinaryLife is what goes on around the attack: people who sign in with a second factor, one who mistypes, the help
// desk at its work. Nothing of it should make anybody look up.
func ordinaryLife(w *World) []Act {
	people := ordinary()
	sign := func(minutes, seconds int, name, story string) Act {
		return Act{At: at(minutes, seconds), Story: story, Do: func() error { return w.arrive(name, true) }}
	}
	token := func(minutes, seconds int, name string) Act {
		return Act{At: at(minutes, seconds), Do: func() error { return w.arrive(name, false) }}
	}
	helpdesk := func(minutes, seconds int, story string, do func(*entra.Session) error) Act {
		return Act{At: at(minutes, seconds), Story: story, Do: func() error { return w.as(helpdeskName, do) }}
	}
	return []Act{
		sign(0, 0, people[3], "An ordinary day: people of Contoso sign in from the office, with a second factor."),
		token(0, 12, people[5]),
		sign(0, 25, people[8], ""),
		sign(0, 40, helpdeskName, ""),
		helpdesk(0, 55, "The help desk changes a job title.", func(s *entra.Session) error {
			return s.UpdateJobTitle(w.user(people[10]), "Senior accountant")
		}),
		{At: at(1, 10), Story: "Somebody mistypes a password, and then does not.", Do: func() error { return w.mistype(people[12]) }},
		sign(1, 18, people[12], ""),
		helpdesk(1, 35, "The help desk adds somebody to the reading club.", func(s *entra.Session) error {
			return s.AddGroupMember(w.user(people[14]), "Reading club")
		}),
		sign(1, 50, people[15], ""),
		sign(4, 10, people[18], ""),
		token(5, 30, people[9]),
		{At: at(6, 40), Story: "Somebody changes his own password.", Do: func() error {
			return w.as(people[18], func(s *entra.Session) error { return s.ChangePassword(password("new " + people[18])) })
		}},
		sign(7, 30, people[20], ""),
		sign(9, 10, secondName, "The other administrator signs in from the office, with a second factor."),
		token(10, 30, people[3]),
		sign(11, 40, people[24], ""),
	}
}

func (w *World) user(name string) string { return entra.StableGUID(w.Customer.ID(), "user", name) }

func (w *World) office(name string, interactive bool) entra.SignIn {
	u, _ := w.Customer.User(w.user(name))
	return entra.SignIn{UserPrincipalName: u.UserPrincipalName, Password: u.Password, IP: officeAddress, Country: "GB",
		City: "London", Latitude: 51.5, Longitude: -0.12, UserAgent: officeAgent, OperatingSystem: "Windows11",
		Browser: "Edge 131.0.0", DeviceID: entra.StableGUID("device", name), AppID: "4765445b-32c6-49b0-83e6-1d93765276ca",
		AppDisplayName: "OfficeHome", ClientApp: "Browser", Protocol: "none", MFA: true, Interactive: interactive, At: w.now()}
}

// arrive signs somebody in from the office. Should he be contained by then, that is no fault of the story.
func (w *World) arrive(name string, interactive bool) error {
	s, err := w.Customer.SignIn(w.office(name, interactive))
	if err == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.sessions[w.user(name)] = s
	}
	return expected(err)
}

func (w *World) mistype(name string) error {
	s := w.office(name, true)
	s.Password = "oops"
	_, err := w.Customer.SignIn(s)
	return expected(err)
}

// as acts in the session of somebody who has arrived.
func (w *World) as(name string, do func(*entra.Session) error) error {
	w.mu.Lock()
	s := w.sessions[w.user(name)]
	w.mu.Unlock()
	if s == nil {
		return nil
	}
	return expected(do(s.At(w.now())))
}
