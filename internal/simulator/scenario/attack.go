package scenario

import (
	"errors"
	"fmt"
	"time"

	"cordon/internal/simulator/entra"
)

// Act is one thing that somebody does.
type Act struct {
	At        time.Duration // from the start
	Story     string        // one plain sentence; empty for what merely continues the act before
	Attacker  bool          // the attacker does it
	Refusable bool          // a try after containment: if contained, it must end in an entra.Refused
	Do        func() error
}

const (
	spraySize        = 34
	sprayAddress     = "203.0.113.77"
	sprayAgent       = "spraykit/1.4 python-requests/2.32"
	attackerAddress  = "198.51.100.23"
	attackerAgent    = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
	officeAddress    = "192.0.2.10"
	officeAgent      = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0"
	mailHelperSecret = "the-attackers-own-secret-of-mail-helper"
	newAdminName     = "svc-backup-sync"
	newAdminPassword = "n0t-So-Innocent!"
	credentialName   = "sync"
)

// attacker is what he holds: he keeps it until it is refused.
type attacker struct {
	session *entra.Session
	sparse  []string // records of his sign-ins that came without details
	secret  string   // of the credential that he added
}

// Attack returns the acts in the order of their time: ordinary life, the attack in its midst, and the tries after
// containment.
func Attack(w *World) []Act {
	acts := merge(ordinaryLife(w), spray(w), intrusion(w))
	return append(acts, retries(w)...)
}

func at(minutes, seconds int) time.Duration {
	return time.Duration(minutes)*time.Minute + time.Duration(seconds)*time.Second
}

// spray tries one password against 34 users within 90 seconds. Everybody else's answer is 50126; the victim's is
// 50076: the password is known, the second factor holds.
func spray(w *World) []Act {
	var acts []Act
	for i, id := range w.SprayedIDs {
		story := ""
		if i == 0 {
			story = fmt.Sprintf("Somebody at %s tries one password on %d people of Contoso.", sprayAddress, len(w.SprayedIDs))
		}
		if id == w.VictimID {
			story = "One answer differs: Avery's password is right, and only the second factor holds."
		}
		acts = append(acts, Act{At: at(2, 0) + time.Duration(i)*2600*time.Millisecond, Story: story, Attacker: true, Do: func() error {
			u, _ := w.Customer.User(id)
			_, err := w.Customer.SignIn(entra.SignIn{UserPrincipalName: u.UserPrincipalName, Password: victimPassword,
				IP: sprayAddress, Country: "NL", City: "Amsterdam", Latitude: 52.37, Longitude: 4.9, UserAgent: sprayAgent,
				AppID: "1b730954-1685-4b74-9bfd-dac224a7b894", AppDisplayName: "Azure Active Directory PowerShell",
				ClientApp: "Mobile Apps and Desktop clients", Protocol: "oAuth2", Interactive: true, At: w.now()})
			return expected(err)
		}})
	}
	return acts
}

// expected drops a refusal: the attacker tries because most tries fail.
func expected(err error) error {
	if errors.As(err, &entra.Refused{}) {
		return nil
	}
	return err
}

// enter signs in as a user through a client that is not asked for a second factor.
func (w *World) enter(user, password string) (*entra.Session, error) {
	return w.Customer.SignIn(entra.SignIn{UserPrincipalName: user + "@" + domain, Password: password, IP: attackerAddress,
		Country: "NZ", City: "Auckland", Latitude: -36.85, Longitude: 174.76, UserAgent: attackerAgent,
		OperatingSystem: "Linux", Browser: "Firefox 128.0", AppID: "1950a258-227b-4e31-a9cf-717495945fc2",
		AppDisplayName: "Microsoft Azure PowerShell", ClientApp: "Mobile Apps and Desktop clients", Protocol: "ropc",
		Interactive: true, Sparse: true, At: w.now()})
}

// signInAsVictim is what he does first, and again whenever his session was merely revoked: he has the password.
func (w *World) signInAsVictim() error {
	s, err := w.enter(victimName, victimPassword)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.attacker.session = s
	w.attacker.sparse = append(w.attacker.sparse, s.RecordID)
	return nil
}

func (w *World) stolen() *entra.Session {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.attacker.session
}

// asVictim acts in the stolen session.
func (w *World) asVictim(f func(*entra.Session) error) error {
	if s := w.stolen(); s != nil {
		err := f(s.At(w.now()))
		var refused entra.Refused
		if !errors.As(err, &refused) || refused.Code != "50173" {
			return err
		}
	}
	if err := w.signInAsVictim(); err != nil {
		return err
	}
	return f(w.stolen().At(w.now()))
}

// intrusion is what he does with the password.
func intrusion(w *World) []Act {
	act := func(minutes, seconds int, story string, do func() error) Act {
		return Act{At: at(minutes, seconds), Story: story, Attacker: true, Do: do}
	}
	return []Act{
		act(8, 0, "He signs in as Avery from another country, through a client that is never asked for a second factor.",
			w.signInAsVictim),
		act(8, 50, "He registers an authenticator of his own for Avery.", func() error {
			return w.asVictim(func(s *entra.Session) error {
				id, err := s.RegisterAuthenticator("SM-A155F")
				w.note(func(c *Created) { c.AuthenticatorID = id })
				return err
			})
		}),
		act(9, 30, "He consents for everyone to Mail Helper, which reads mail.", func() error {
			return w.asVictim(func(s *entra.Session) error {
				principal, grant, err := s.ConsentForEveryone(w.MailHelperApp, "Mail Helper", "Mail.Read", "Mail.ReadWrite", "offline_access")
				w.note(func(c *Created) { c.MailHelperSP, c.GrantID = principal, grant })
				return err
			})
		}),
		act(10, 10, "He adds a credential of his own to Backup Automation.", func() error {
			return w.asVictim(func(s *entra.Session) error {
				k, err := s.AddServicePrincipalCredential(w.BackupSP, credentialName)
				w.note(func(c *Created) { c.CredentialKeyID = k.KeyID; w.attacker.secret = k.Secret })
				return err
			})
		}),
		act(10, 50, "He creates a user, svc-backup-sync.", func() error {
			return w.asVictim(func(s *entra.Session) error {
				id, err := s.CreateUser(newAdminName+"@"+domain, "Backup Sync", newAdminPassword)
				w.note(func(c *Created) { c.NewAdmin = id })
				return err
			})
		}),
		act(11, 10, "He makes svc-backup-sync a Global Administrator.", func() error {
			return w.asVictim(func(s *entra.Session) error {
				id, err := s.AddRoleMember(w.Created().NewAdmin, entra.GlobalAdministrator)
				w.note(func(c *Created) { c.RoleAssignmentID = id })
				return err
			})
		}),
		{At: at(12, 30), Story: "Entra sends the record of that sign-in again, now with its details: a password, nothing else.",
			Do: w.sendDetails},
	}
}

func (w *World) sendDetails() error {
	w.mu.Lock()
	ids := w.attacker.sparse
	w.attacker.sparse = nil
	w.mu.Unlock()
	for _, id := range ids {
		if err := w.Customer.Reemit(id, w.now()); err != nil {
			return fmt.Errorf("sending a sign-in again: %w", err)
		}
	}
	return nil
}

// retries are what he tries later. Contained, every one is refused; uncontained, it succeeds and its error is nil.
func retries(w *World) []Act {
	act := func(minutes, seconds int, story string, do func() error) Act {
		return Act{At: at(minutes, seconds), Story: story, Attacker: true, Refusable: true, Do: do}
	}
	return []Act{
		act(25, 0, "He comes back with Avery's session. Contained, it is refused.", func() error {
			s := w.stolen()
			if s == nil {
				return entra.Refused{Status: 401, Code: "InvalidAuthenticationToken", Reason: "he never had a session"}
			}
			return s.At(w.now()).ReadMail()
		}),
		act(25, 20, "He signs in with Avery's password. Contained, he is refused.", func() error {
			_, err := w.enter(victimName, victimPassword)
			return err
		}),
		act(25, 40, "He signs in as svc-backup-sync. Contained, he is refused.", func() error {
			_, err := w.enter(newAdminName, newAdminPassword)
			return err
		}),
		act(26, 0, "Mail Helper comes for the mail. Contained, it is refused.", func() error {
			app, err := w.appSignIn(w.MailHelperApp, mailHelperSecret)
			if err != nil {
				return err
			}
			return app.ReadMail(w.VictimID)
		}),
		act(26, 20, "He signs in as Backup Automation with his credential. Contained, he is refused.", func() error {
			backup, _ := w.Customer.ServicePrincipal(w.BackupSP)
			w.mu.Lock()
			secret := w.attacker.secret
			w.mu.Unlock()
			app, err := w.appSignIn(backup.AppID, secret)
			if err != nil {
				return err
			}
			return app.ReadDirectory()
		}),
	}
}

func (w *World) appSignIn(appID, secret string) (*entra.AppSession, error) {
	return w.Customer.AppSignIn(entra.AppSignIn{AppID: appID, Secret: secret, IP: attackerAddress, Country: "NZ",
		City: "Auckland", UserAgent: attackerAgent, At: w.now()})
}
