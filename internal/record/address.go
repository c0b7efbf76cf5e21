package record

import (
	"net/netip"
	"strings"
)

// Address reads an IP address leniently (a port, a ninth group, blanks) and writes it in one way; what is no
// address at all stays as it came.
func Address(s string) string {
	s = strings.TrimSpace(s)
	if a, err := netip.ParseAddr(s); err == nil {
		return written(a.Unmap().WithZone(""), s)
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("").String()
	}
	if s == "<null>" {
		return ""
	}
	return s
}

// written is a's one form: s itself where that is it already.
func written(a netip.Addr, s string) string {
	var room [64]byte
	if b := a.AppendTo(room[:0]); string(b) != s {
		return string(b)
	}
	return s
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
