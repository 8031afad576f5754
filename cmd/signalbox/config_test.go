package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"signalbox.dev/signalbox/internal/config"
)

var update = flag.Bool("update", false, "write docs/configuration.md")

// Every key says what it is in both languages.
func TestConfigurationDocumented(t *testing.T) {
	for _, role := range roles {
		for _, k := range config.Keys(configurations(role)) {
			for lang, doc := range map[string]string{"en": k.En, "zh": k.Zh} {
				if !strings.HasSuffix(doc, map[string]string{"en": ".", "zh": "。"}[lang]) {
					t.Errorf("%s: %s: %s: no sentence: %q", role, k.Key, lang, doc)
				}
			}
			if strings.ContainsFunc(k.En, func(r rune) bool { return r >= 0x2E80 }) {
				t.Errorf("%s: %s: Chinese in the English text", role, k.Key)
			}
		}
	}
}

// docs/configuration.md is what the structs say; -update writes it.
func TestConfigurationDocument(t *testing.T) {
	file := filepath.Join("..", "..", "docs", "configuration.md")
	want := configurationDocument()
	if *update {
		must(t, os.WriteFile(file, []byte(want), 0o644))
	}
	have, err := os.ReadFile(file)
	must(t, err)
	if string(have) != want {
		t.Error("docs/configuration.md is not current: go test ./cmd/signalbox -run Configuration -update")
	}
}

func configurationDocument() string {
	var b strings.Builder
	b.WriteString("# Configuration · 配置\n\nGenerated from the code by `go test ./cmd/signalbox -run Configuration -update`; do not edit.\n" +
		"`signalbox config ROLE` prints the same as a file to begin with. Files are read strictly: an unknown key, a key given twice or\n" +
		"a value out of bounds is an error that names line, column and key. Paths are relative to the file's own folder.\n\n" +
		"本文由代码生成，请勿手工编辑。`signalbox --lang zh config 角色` 以文件形式打印同样内容。读取从严：未知键、重复键、越界的值均报错，并指明行、列和键。" +
		"相对路径以配置文件所在目录为基准。\n")
	for _, role := range roles {
		fmt.Fprintf(&b, "\n## %s.yaml\n\n| key 键 | kind 类型 | default 默认值 | allowed 允许值 | meaning | 含义 |\n|---|---|---|---|---|---|\n", role)
		for _, k := range config.Keys(configurations(role)) {
			value := k.Default
			if k.Required {
				value = "required 必填"
			} else if value != "" {
				value = "`" + value + "`"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", k.Key, k.Kind, value, strings.ReplaceAll(k.Allowed, " | ", ", "), k.En, k.Zh)
		}
	}
	return b.String()
}

func TestConfigCommand(t *testing.T) {
	for _, role := range roles {
		code, stdout, _ := call(t, "config", role, "--json")
		var keys []config.Key
		must(t, json.Unmarshal([]byte(stdout), &keys))
		if code != exitOK || len(keys) != len(config.Keys(configurations(role))) {
			t.Errorf("%s: exit %d, %d keys", role, code, len(keys))
		}
		for _, lang := range []string{"en", "zh"} {
			_, file, _ := call(t, "--lang", lang, "config", role)
			if !strings.Contains(file, "\nlog:\n") {
				t.Errorf("%s: %s", role, file)
			}
		}
	}
	if code, _, stderr := call(t, "config", "regulator"); code != exitFailed || !strings.Contains(stderr, "authority") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}
