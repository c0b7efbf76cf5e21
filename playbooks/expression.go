package playbooks

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/vm"
)

// Condition is a compiled `when`; nil always holds.
type Condition struct{ expression }

// List is a compiled `for-each`.
type List struct{ expression }

type expression struct {
	text    string
	program *vm.Program
	reads   []string // facts it rests on
	asks    []string // facts whose being known it asks about
}

func condition(text string) (*Condition, error) {
	if text == "" {
		return nil, nil
	}
	e, err := compile(text, expr.AsBool())
	if err != nil {
		return nil, err
	}
	return &Condition{e}, nil
}

func list(text string) (*List, error) {
	if text == "" {
		return nil, nil
	}
	e, err := compile(text, expr.AsAny())
	if err != nil {
		return nil, err
	}
	if kind := e.program.Node().Type(); kind == nil || kind.String() != "[]playbooks.Object" {
		return nil, fmt.Errorf("%q is no list of objects, such as evidence.methods", text)
	}
	return &List{e}, nil
}

func compile(text string, as expr.Option) (expression, error) {
	r := &reader{}
	program, err := expr.Compile(text, expr.Env(Facts{}), as, expr.Patch(r))
	if r.bad != "" {
		return expression{}, fmt.Errorf("%q: known(%s): that is no fact whose being known can be asked; expected one of %s", text, r.bad, strings.Join(facts(), ", "))
	}
	if err != nil {
		msg, _, _ := strings.Cut(err.Error(), "\n")
		return expression{}, fmt.Errorf("%q: %s", text, msg)
	}
	return expression{text: text, program: program, reads: r.reads, asks: r.asks}, nil
}

// reader finds the facts that an expression reads, and makes known(actor.synced) ask about the fact, not its value.
type reader struct {
	reads, asks []string
	bad         string
}

func (r *reader) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.CallNode:
		callee, ok := n.Callee.(*ast.IdentifierNode)
		if !ok {
			return
		}
		if callee.Value == "known" && len(n.Arguments) == 1 {
			fact := pathOf(n.Arguments[0])
			if s, ok := n.Arguments[0].(*ast.StringNode); ok { // patched already, or written so
				fact = s.Value
			}
			if !isFact(fact) {
				r.bad = fact
				return
			}
			if !slices.Contains(r.asks, fact) {
				r.asks = append(r.asks, fact)
			}
			ast.Patch(&n.Arguments[0], &ast.StringNode{Value: fact})
			return
		}
		if isFact(callee.Value) {
			r.note(callee.Value)
		}
	case *ast.MemberNode:
		if p := pathOf(n); isFact(p) {
			r.note(p)
		}
	}
}

func (r *reader) note(fact string) {
	if !slices.Contains(r.reads, fact) {
		r.reads = append(r.reads, fact)
	}
}

func pathOf(n ast.Node) string {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		return n.Value
	case *ast.MemberNode:
		if name, ok := n.Property.(*ast.StringNode); ok {
			return pathOf(n.Node) + "." + name.Value
		}
	}
	return "?"
}

func isFact(path string) bool { return slices.Contains(facts(), path) }

// facts are those whose being known can be asked.
func facts() []string {
	var out []string
	for _, s := range factSources {
		out = append(out, s.fact)
	}
	return out
}

// stands says how far the facts that an expression reads can be relied on: nothing is said while one of them is
// still being read. That a fact is unknown is its own business where it asks about it.
func (e expression) stands(w world) (standing, string) {
	for _, fact := range slices.Concat(e.reads, e.asks) {
		if w.standing[fact] == isPending {
			return isPending, fact
		}
	}
	for _, fact := range e.reads {
		if w.standing[fact] == isUnknown && !slices.Contains(e.asks, fact) {
			return isUnknown, fact
		}
	}
	return isKnown, ""
}

// holds evaluates a condition; unknown names the fact that keeps it from being true or false.
func (c *Condition) holds(w world) (yes bool, s standing, fact string, err error) {
	if c == nil {
		return true, isKnown, "", nil
	}
	if s, fact := c.stands(w); s != isKnown {
		return false, s, fact, nil
	}
	out, err := expr.Run(c.program, w.Facts)
	if err != nil {
		return false, isKnown, "", fmt.Errorf("evaluating %q: %w", c.text, err)
	}
	yes, _ = out.(bool) // compiled as one
	return yes, isKnown, "", nil
}

// objects evaluates a for-each.
func (l *List) objects(w world) ([]Object, standing, error) {
	if s, _ := l.stands(w); s != isKnown {
		return nil, s, nil
	}
	out, err := expr.Run(l.program, w.Facts)
	if err != nil {
		return nil, isKnown, fmt.Errorf("evaluating %q: %w", l.text, err)
	}
	objects, _ := out.([]Object) // checked when it was compiled
	return objects, isKnown, nil
}

// values are the facts that a condition read, for the digest that binds an approval.
func (c *Condition) values(w world) map[string]string {
	if c == nil {
		return nil
	}
	out := map[string]string{}
	for _, fact := range c.reads {
		var v any
		switch fact {
		case "actor.privileged":
			v = w.Actor.Privileged
		case "actor.synced":
			v = w.Actor.Synced
		case "tenant.licences":
			v = w.Tenant.Licences
		case "tenant.dap":
			v = w.Tenant.DAP
		case "tenant.userConsent":
			v = w.Tenant.UserConsent
		default:
			continue // lists and times are bound through the step's own target
		}
		data, err := json.Marshal(v)
		if err == nil {
			out[fact] = string(data)
		}
	}
	return out
}
