package sigma

import "go.yaml.in/yaml/v3"

// texts are a list, or the one member of it.
type texts []string

func (t *texts) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return n.Decode((*[]string)(t))
	}
	if n.Tag == "!!null" {
		return nil
	}
	*t = texts{""}
	return n.Decode(&(*t)[0])
}

// What the aliases of a document may stand for, and how deep all of it goes.
const (
	maxAliased = 200_000
	maxNesting = 1000
)

// writtenOut is a document with what its aliases and merges stand for in their place: it is read node by node.
func writtenOut(n *yaml.Node) (*yaml.Node, error) {
	left := maxAliased
	return writeOut(n, &left, false, 0)
}

func writeOut(n *yaml.Node, left *int, aliased bool, depth int) (*yaml.Node, error) {
	if aliased {
		*left--
	}
	if *left < 0 {
		return nil, at(n, "the aliases of a document stand for %d values at most", maxAliased)
	}
	if depth > maxNesting {
		return nil, at(n, "nested too deeply, or an anchor that holds itself")
	}
	if n.Kind == yaml.AliasNode {
		out, err := writeOut(n.Alias, left, true, depth+1)
		if err != nil {
			return nil, err
		}
		out.Line, out.Column = n.Line, n.Column
		return out, nil
	}
	out := *n
	out.Anchor, out.Content = "", nil
	for _, c := range n.Content {
		inner, err := writeOut(c, left, aliased, depth+1)
		if err != nil {
			return nil, err
		}
		out.Content = append(out.Content, inner)
	}
	if out.Kind == yaml.MappingNode {
		return &out, merge(&out)
	}
	return &out, nil
}

// merge puts, in place of `<<`, the members of the mappings behind it that the mapping has not itself.
func merge(n *yaml.Node) error {
	var own, merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Tag != "!!merge" {
			own = append(own, key, value)
			continue
		}
		from := []*yaml.Node{value}
		if value.Kind == yaml.SequenceNode {
			from = value.Content
		}
		for _, m := range from {
			if m.Kind != yaml.MappingNode {
				return at(key, "<< takes a mapping, or a list of mappings")
			}
			merged = append(merged, m.Content...)
		}
	}
	n.Content = own
	for i := 0; i+1 < len(merged); i += 2 {
		if member(n, merged[i].Value) == nil {
			n.Content = append(n.Content, merged[i], merged[i+1])
		}
	}
	return nil
}
