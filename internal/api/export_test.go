package api

// Crowd fills what is limited, until the function it gives is called.
func (s *Server) Crowd() func() {
	for s.intake.enter() {
	}
	for s.waiting.enter() {
	}
	return func() {
		for range maxIntake {
			s.intake.leave()
		}
		for range maxWaiting {
			s.waiting.leave()
		}
	}
}

// InHand counts what is limited and under way.
func (s *Server) InHand() int { return len(s.intake) + len(s.waiting) }

// Statuses gives every kind of problem with its status.
func Statuses() map[string]int {
	all := map[string]int{}
	for _, c := range classes() {
		all[string(c.kind)] = c.status
	}
	return all
}

// Texts gives what is said of every kind of problem, in both languages.
func Texts() map[string][4]string {
	all := map[string][4]string{}
	for _, c := range classes() {
		all[string(c.kind)] = [4]string{c.title.en, c.title.zh, c.detail.en, c.detail.zh}
	}
	return all
}

// Limits of the API.
const (
	MaxRecord = maxRecord
	Heartbeat = heartbeat
	MaxWait   = maxWait
)
