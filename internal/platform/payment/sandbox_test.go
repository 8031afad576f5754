package payment_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/internal/platform/payment"
	"signalbox.dev/signalbox/internal/store"
)

func TestSandbox(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	open := func() (*payment.Sandbox, *store.Store) {
		s, err := store.Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		return payment.NewSandbox(s, "http://pay.test/", func() time.Time { return now }), s
	}
	p, s := open()
	charge := payment.Charge{Ref: "order-1", Currency: "CNY", Amount: 1695, Description: "Order 1"}
	link, err := p.Create(t.Context(), charge)
	if err != nil || link.URL != "http://pay.test/pay/"+link.ID {
		t.Fatalf("%+v, %v", link, err)
	}
	if again, err := p.Create(t.Context(), charge); err != nil || again != link {
		t.Errorf("again: %+v, %v", again, err)
	}
	for _, c := range []struct {
		change func(*payment.Charge)
		want   error
	}{
		{func(c *payment.Charge) { c.Amount = 1 }, payment.ErrConflict},
		{func(c *payment.Charge) { c.Currency = "JPY" }, payment.ErrConflict},
	} {
		other := charge
		c.change(&other)
		if _, err := p.Create(t.Context(), other); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v", other, err)
		}
	}
	for _, bad := range []payment.Charge{{}, {Ref: "r", Currency: "CNY"}, {Ref: "r", Currency: "CNY", Amount: -1}, {Currency: "CNY", Amount: 1}} {
		if _, err := p.Create(t.Context(), bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
	want := payment.Status{Ref: "order-1", Currency: "CNY", Amount: 1695}
	if st, err := p.Status(t.Context(), link.ID); err != nil || cmp.Diff(want, st) != "" {
		t.Errorf("unpaid: %+v, %v", st, err)
	}
	if err := p.Pay(t.Context(), link.ID); err != nil {
		t.Fatal(err)
	}
	want.Paid, want.PaidAt = true, now
	now = now.Add(time.Hour)
	if err := errors.Join(p.Pay(t.Context(), link.ID), s.Close()); err != nil {
		t.Fatal(err)
	}
	p, s = open() // it survives a restart
	defer s.Close()
	if st, err := p.Status(t.Context(), link.ID); err != nil || cmp.Diff(want, st) != "" {
		t.Errorf("paid: %+v, %v", st, err)
	}
	if err := p.Pay(t.Context(), "pay-none"); !errors.Is(err, payment.ErrNotFound) {
		t.Errorf("paying nothing: %v", err)
	}
	if _, err := p.Status(t.Context(), "pay-none"); !errors.Is(err, payment.ErrNotFound) {
		t.Errorf("status of nothing: %v", err)
	}
}
