package pdp

import "time"

func init() { budget = time.Minute }

// SetBudget is for tests of the budget itself.
func SetBudget(d time.Duration) (restore func()) {
	was := budget
	budget = d
	return func() { budget = was }
}
