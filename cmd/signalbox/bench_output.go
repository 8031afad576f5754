package main

import (
	"fmt"
	"io"

	"signalbox.dev/signalbox/internal/bench"
)

// benchOutput prints what was measured, for people.
type benchOutput struct {
	w   io.Writer
	say words
}

func (o benchOutput) print(r bench.Result) error {
	o.head(r)
	for _, section := range []func(bench.Result) error{o.latencies, o.processors, o.besides, o.rest} {
		if err := section(r); err != nil {
			return err
		}
	}
	return nil
}

func (o benchOutput) head(r bench.Result) {
	m := r.Machine
	fmt.Fprintf(o.w, o.say.of(
		"%s, %d cores, %s, kernel %s, %s; fsync %.1f ms; load %.1f when it began\n",
		"%s，%d 核，%s，内核 %s，%s；fsync %.1f 毫秒；开始时系统负载 %.1f\n"),
		m.CPU, m.Cores, m.OS, m.Kernel, m.Go, m.FsyncUS/1000, m.Load)
	if r.Mode == "open" {
		fmt.Fprintf(o.w, o.say.of("suite %s, open loop, %.0f steps due a second, %.0f s\n\n", "密码套件 %s，开环，每秒应有 %.0f 步，%.0f 秒\n\n"),
			r.Suite, r.OpenLoop, r.DurationS)
	} else {
		fmt.Fprintf(o.w, o.say.of("suite %s, closed loop, %d flows in flight, %.0f s\n\n", "密码套件 %s，闭环，同时 %d 个流程，%.0f 秒\n\n"),
			r.Suite, r.InFlight, r.DurationS)
	}
	fmt.Fprintf(o.w, o.say.of("%.1f steps/s, %.1f flows/s; failed %d, stuck %d, done twice %d, lost %d\n\n",
		"每秒 %.1f 步、%.1f 个流程；失败 %d，停滞 %d，重复 %d，丢失 %d\n\n"),
		r.StepsPerS, r.FlowsPerS, r.Errors-r.Stuck-r.Twice, r.Stuck, r.Twice, r.Lost)
}

func (o benchOutput) latencies(r bench.Result) error {
	t := newTable(o.w)
	t.row(o.say.of("latency, ms", "延迟，毫秒"), "p50", "p95", "p99", "p99.9", o.say.of("max", "最大"))
	most := 0.0
	for _, s := range bench.Steps() {
		q := r.Latency[s]
		most = max(most, q.Max)
		t.row(s, ms(q.P50), ms(q.P95), ms(q.P99), ms(q.P999), ms(q.Max))
	}
	t.row(o.say.of("all", "全部"), ms(r.P50MS), ms(r.P95MS), ms(r.P99MS), ms(r.P999MS), ms(most))
	return o.end(t)
}

func (o benchOutput) processors(r bench.Result) error {
	t := newTable(o.w)
	t.row(o.say.of("processor time a step", "每步处理器时间"), "µs", "%")
	total := r.CPU[bench.Total]
	for _, p := range append(bench.Parts(), bench.Total) {
		share := 0.0
		if total > 0 {
			share = 100 * r.CPU[p] / total
		}
		t.row(o.part(p), fmt.Sprintf("%.0f", r.CPU[p]), fmt.Sprintf("%.1f", share))
	}
	return o.end(t)
}

func (o benchOutput) part(p bench.Part) string {
	return map[bench.Part]string{
		bench.Platform:     o.say.of("platform", "平台"),
		bench.Fusion:       o.say.of("fusion node", "融合节点"),
		bench.Authority:    o.say.of("authority", "监管方"),
		bench.Supervision:  o.say.of("supervision chain", "监管链"),
		bench.Business:     o.say.of("business chain", "业务链"),
		bench.Database:     o.say.of("platform's database", "平台数据库"),
		bench.Participants: o.say.of("participants and load", "参与方与负载"),
		bench.Other:        o.say.of("other (garbage, scheduling)", "其他（垃圾回收、调度）"),
		bench.Total:        o.say.of("total", "合计"),
	}[p]
}

func (o benchOutput) besides(r bench.Result) error {
	t := newTable(o.w)
	t.row(o.say.of("compared with", "对比"))
	figure := func(name string, v *float64, form string) {
		if v != nil {
			t.row(name, fmt.Sprintf(form, *v))
		}
	}
	figure(o.say.of("cryptography alone (floor)", "仅密码运算（下限）"), r.Floor, "%.0f µs")
	figure(o.say.of("floor / processor time", "下限／处理器时间"), r.Efficiency, "%.3f")
	figure(o.say.of("steps/s without supervision", "不经监管，每秒步数"), r.Baseline, "%.1f")
	figure(o.say.of("processor time without", "不经监管，处理器时间"), r.BaselineCPU, "%.0f µs")
	figure(o.say.of("companies' half with / without", "企业侧：有监管／无监管"), r.CompaniesRatio, "%.2f")
	figure(o.say.of("latency added (p50)", "增加的延迟（p50）"), r.AddedLatencyMS, "%.1f ms")
	figure(o.say.of("transactions/s of consensus alone", "仅共识，每秒交易数"), r.Engine, "%.0f")
	return o.end(t)
}

func (o benchOutput) rest(r bench.Result) error {
	t := newTable(o.w)
	t.row(o.say.of("blocks: supervision, business", "区块数：监管链、业务链"), fmt.Sprintf("%d, %d", r.SupervisionBlocks, r.BusinessBlocks))
	t.row(o.say.of("allocations a step", "每步内存分配次数"), fmt.Sprintf("%.0f", r.AllocsPerStep))
	t.row(o.say.of("allocated a step", "每步内存分配"), fmt.Sprintf("%.0f KiB", r.AllocBytes/1024))
	t.row(o.say.of("on disk a step, all parties", "每步磁盘占用（各方合计）"), fmt.Sprintf("%.1f KiB", r.BytesPerStep/1024))
	t.row(o.say.of("most memory", "内存峰值"), fmt.Sprintf("%d MiB", r.PeakRSS>>20))
	return t.end()
}

func (o benchOutput) end(t table) error {
	if err := t.end(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(o.w)
	return err
}

func ms(v float64) string { return fmt.Sprintf("%.1f", v) }
