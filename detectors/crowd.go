package detectors

// A rule that makes a finding of each principal in a window, such as of each user whom a spray has hit, tells each of them what
// all share. Where they are many and the window goes on to grow each of them would be told anew every second, for no more
// than a count: behind an office's one address that is thousands. They are told again when the window has grown by half, and
// else after a while; who is new, or does something himself, is told at once.
const (
	manyOwn      = 32  // findings of a window that are told whenever it has changed
	postponedFor = 600 // calls of FlushAll, which are seconds
)

// crowds are the places where many findings stand.
type crowds struct {
	patient bool // what can wait may: a shard's, which others have to read
	seconds int
	told    map[place]crowd
	waiting map[place]int // for what second
}

type crowd struct{ second, items int }

// due says whether the findings of a place that hold so many items are to be told what all share.
func (c *crowds) due(made place, own, items int) bool {
	if own <= manyOwn {
		return true
	}
	was, known := c.told[made]
	if c.patient && known && items < was.items+was.items/2 && c.seconds < was.second+postponedFor {
		return false
	}
	if c.told == nil {
		c.told, c.waiting = map[place]crowd{}, map[place]int{}
	}
	c.told[made] = crowd{c.seconds, items}
	delete(c.waiting, made)
	return true
}

func (c *crowds) postpone(made place) { c.waiting[made] = c.told[made].second + postponedFor }

func (c *crowds) forget(made place) {
	delete(c.told, made)
	delete(c.waiting, made)
}

// awake has the places looked at that waited for long enough.
func (e *Engine) awake(enough func(due int) bool) {
	for made, due := range e.crowds.waiting {
		if enough(due) {
			delete(e.crowds.waiting, made)
			e.windows[made.of.at].Touch(made.group, made.number)
		}
	}
}
