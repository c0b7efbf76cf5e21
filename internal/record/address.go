package record

import (
	"net/netip"
	"strings"
)

// Address reads an IP address leniently (a port, a ninth group, blanks) and writes it in one way; what is no
// address at all stays as it came.
func Address(s string) string {
	s = strings.TrimSpace(s)
	if strings.IndexByte(s, ':') < 0 {
		if dotted(s) {
			return s
		}
		if strings.IndexByte(s, '.') < 0 {
			return unlessNull(s)
		}
	} else if host, port, _ := strings.Cut(s, ":"); dotted(host) {
		if n, ok := digits(port); ok && n <= 65535 {
			return host
		}
	}
	if !strings.HasPrefix(s, "[") { // a refusal allocates
		if a, err := netip.ParseAddr(s); err == nil {
			return written(a.Unmap().WithZone(""), s)
		}
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("").String()
	}
	return unlessNull(s)
}

// unlessNull is what stands in an address's place: "<null>" is nothing.
func unlessNull(s string) string {
	if s == "<null>" {
		return ""
	}
	return s
}

// dotted says that s is an IPv4 address in the one form that it is written in.
func dotted(s string) bool {
	if len(s) < len("1.1.1.1") || len(s) > len("255.255.255.255") {
		return false
	}
	parts, n, digits := 1, 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.':
			if digits == 0 {
				return false
			}
			parts, n, digits = parts+1, 0, 0
		case c < '0' || c > '9', digits > 0 && n == 0:
			return false
		default:
			n, digits = n*10+int(c-'0'), digits+1
			if n > 255 {
				return false
			}
		}
	}
	return parts == 4 && digits > 0
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
