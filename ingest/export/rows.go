package export

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Bounds of one CSV row, which may have line ends in its fields. Tests lower them.
var (
	maxRow      = 4 << 20
	maxRowLines = 10_000
)

// rows joins lines to rows. A quotation mark that is never closed costs the line on which it stands, not the file.
type rows struct {
	r      *bufio.Reader
	n      int       // of the next line
	back   []rowLine // lines read and given back
	taken  []rowLine // lines of the row handed out last
	reason error     // why the row handed out last is none
}

type rowLine struct {
	text []byte
	err  error // errTooLong
}

// next is the next row that is not blank, and the line on which it begins.
func (s *rows) next() (at int, text []byte, ok bool, err error) {
	for {
		open, err := s.join()
		if err != nil || len(s.taken) == 0 {
			return 0, nil, false, err
		}
		at, first := s.n-len(s.taken), s.taken[0]
		switch {
		case first.err != nil:
			s.reason = first.err
			return at, first.text, true, nil
		case len(s.taken) == 1 && len(first.text) > maxRow:
			s.reason = fmt.Errorf("a row %w %d bytes", errTooLong, maxRow)
			return at, first.text[:min(len(first.text), keptOfLong)], true, nil
		case open:
			s.reason = errors.New("reading the row: a quotation mark is not closed")
			return at, s.giveBack(), true, nil
		}
		var joined []byte
		for _, l := range s.taken {
			joined = append(joined, l.text...)
		}
		if !blank(joined) {
			return at, joined, true, nil
		}
	}
}

// join takes lines until each quotation mark is closed. open says that one was not within the bounds.
func (s *rows) join() (open bool, err error) {
	s.taken, s.reason = nil, nil
	for size := 0; ; {
		l, err := s.line()
		if err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		if l.text == nil && l.err == nil {
			return open, nil
		}
		s.n++
		s.taken = append(s.taken, l)
		size += len(l.text)
		open = open != (bytes.Count(l.text, []byte{'"'})%2 == 1)
		switch {
		case l.err != nil:
			return true, nil
		case !open || size > maxRow || len(s.taken) > maxRowLines:
			return open, nil
		}
	}
}

// giveBack takes all lines but the first of the row handed out last for rows of their own, and returns the first.
func (s *rows) giveBack() (first []byte) {
	first = s.taken[0].text
	if rest := s.taken[1:]; len(rest) > 0 {
		s.back = slices.Concat(rest, s.back)
		s.n -= len(rest)
	}
	s.taken = s.taken[:1]
	return first
}

func (s *rows) line() (rowLine, error) {
	if len(s.back) > 0 {
		l := s.back[0]
		s.back = s.back[1:]
		return l, nil
	}
	text, err := line(s.r)
	if errors.Is(err, errTooLong) {
		return rowLine{text, err}, nil
	}
	return rowLine{text: text}, err
}
