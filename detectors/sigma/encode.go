package sigma

import (
	"encoding/base64"
	"fmt"
	"slices"
	"unicode/utf16"
)

// maxDashes bounds the permutations of windash where an encoding follows it.
const maxDashes = 4

// encoded applies encoding modifiers in their order; one value may become several.
func encoded(l literal, encodings []string) ([]literal, error) {
	out := []literal{l}
	for i, e := range encodings {
		var results []literal
		for _, in := range out {
			var more []literal
			var err error
			if e == "windash" {
				more, err = dashed(in, i == len(encodings)-1)
			} else {
				more, err = encodeOne(in, e)
			}
			if err != nil {
				return nil, err
			}
			results = append(results, more...)
		}
		out = results
	}
	return out, nil
}

// dashed makes every dash any dash: as such where the literal is compared at once, else each way of writing it.
func dashed(l literal, last bool) ([]literal, error) {
	out := literal{runes: slices.Clone(l.runes), bytes: l.bytes}
	var places []int
	for i, c := range out.runes {
		if isDash(c) {
			out.runes[i] = dash
			places = append(places, i)
		}
	}
	if last {
		return []literal{out}, nil
	}
	if len(places) > maxDashes {
		return nil, fmt.Errorf("windash before an encoding takes %d dashes at most", maxDashes)
	}
	all := []literal{out}
	for _, place := range places {
		var more []literal
		for _, a := range all {
			for _, c := range "-/\u2013\u2014\u2015" {
				b := literal{runes: slices.Clone(a.runes), bytes: a.bytes}
				b.runes[place] = c
				more = append(more, b)
			}
		}
		all = more
	}
	return all, nil
}

func encodeOne(l literal, encoding string) ([]literal, error) {
	for _, c := range l.runes {
		if c < 0 {
			return nil, fmt.Errorf("%s takes no wildcard; a plain one is written with a backslash", encoding)
		}
	}
	if len(l.runes) == 0 {
		return nil, fmt.Errorf("%s takes a text", encoding)
	}
	switch encoding {
	case "base64":
		return []literal{{runes: []rune(base64.StdEncoding.EncodeToString(l.raw()))}}, nil
	case "base64offset":
		return offsets(l.raw()), nil
	case "utf16be":
		return []literal{wide(l, true, false)}, nil
	case "utf16":
		return []literal{wide(l, false, true)}, nil
	}
	return []literal{wide(l, false, false)}, nil // wide, utf16le
}

// raw are the literal's bytes.
func (l literal) raw() []byte {
	if !l.bytes {
		return []byte(string(l.runes))
	}
	out := make([]byte, len(l.runes))
	for i, c := range l.runes {
		out[i] = byte(c)
	}
	return out
}

func wide(l literal, big, mark bool) literal {
	out := literal{bytes: true}
	units := utf16.Encode(l.runes)
	if mark {
		units = append([]uint16{0xfeff}, units...)
	}
	for _, u := range units {
		low, high := rune(u&0xff), rune(u>>8)
		if big {
			low, high = high, low
		}
		out.runes = append(out.runes, low, high)
	}
	return out
}

// offsets are the parts of a text's Base64 that stay the same whatever stands around it, for each of the three places
// at which it may begin.
func offsets(text []byte) []literal {
	var out []literal
	for shift := range 3 {
		all := base64.StdEncoding.EncodeToString(append(make([]byte, shift), text...))
		start := []int{0, 2, 3}[shift]
		end := len(all) - []int{0, 3, 2}[(len(text)+shift)%3]
		if end > start {
			out = append(out, literal{runes: []rune(all[start:end])})
		}
	}
	return out
}
