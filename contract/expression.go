package contract

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

// written is an expression of a bundle, a rule's or a counter's, and where it stands.
type written struct {
	what  string // "rule RX-DAYS-01", for errors
	text  string
	at    places
	lines []string // the YAML, to find places within text
}

func (r Rule) expression() written {
	return written{what: "rule " + r.ID, text: r.When, at: r.at, lines: r.lines}
}

func (c Counter) expression() written {
	return written{what: "counter " + c.ID, text: c.When, at: c.at, lines: c.lines}
}

// wrongAt places an error in the expression, offset code points after its beginning.
func (w written) wrongAt(offset int, err error) error {
	e := &PlaceError{What: w.what, Err: err}
	if n := w.at["when"]; n != nil {
		e.Line, e.Column = placeIn(n, w.lines, offset)
	}
	return e
}

// expression is a compiled one, of type bool.
type expression struct {
	written
	env     *cel.Env
	ast     *cel.Ast
	program cel.Program
}

func compileExpression(env *cel.Env, w written) (*expression, error) {
	tree, issues := env.Compile(w.text)
	if issues.Err() != nil {
		first := issues.Errors()[0]
		return nil, w.wrongAt(offsetOf(w.text, first.Location), fmt.Errorf("%s", plainWords(first.Message)))
	}
	if t := tree.OutputType(); !t.IsExactType(cel.BoolType) {
		return nil, w.wrongAt(0, fmt.Errorf("gives %s, want bool", t))
	}
	program, err := env.Program(tree, cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, w.wrongAt(0, err)
	}
	return &expression{written: w, env: env, ast: tree, program: program}, nil
}

// deterministic refuses every expression that holds a value of another type
// than those of facts and parameters, or builds a struct of its own.
func (e *expression) deterministic() error {
	a := e.ast.NativeRep()
	var err error
	wrong := func(id int64, what error) {
		if err == nil {
			err = e.wrongAt(offsetOf(e.text, a.SourceInfo().GetStartLocation(id)), what)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(a.TypeMap())) {
		if t := a.GetType(id); !plainType(t) {
			wrong(id, fmt.Errorf("uses the type %s", t))
		}
	}
	ast.PreOrderVisit(a.Expr(), ast.NewExprVisitor(func(x ast.Expr) {
		if x.Kind() == ast.StructKind {
			wrong(x.ID(), errors.New("builds a struct"))
		}
	}))
	ast.PreOrderVisit(a.Expr(), ast.NewExprVisitor(func(x ast.Expr) {
		if x.Kind() == ast.CallKind && comparesStructs(a, x.AsCall()) {
			wrong(x.ID(), errors.New("compares whole structs"))
		}
	}))
	return err
}

// comparesStructs catches the operators whose cost on structs the estimation
// does not see.
func comparesStructs(a *ast.AST, call ast.CallExpr) bool {
	if !slices.Contains([]string{operators.Equals, operators.NotEquals, operators.In}, call.FunctionName()) {
		return false
	}
	return slices.ContainsFunc(call.Args(), func(e ast.Expr) bool { return holdsStruct(a.GetType(e.ID())) })
}

func holdsStruct(t *cel.Type) bool {
	return t.Kind() == cel.StructKind || t.Kind() == cel.ListKind && holdsStruct(t.Parameters()[0])
}

func plainType(t *cel.Type) bool {
	switch t.Kind() {
	case cel.BoolKind, cel.IntKind, cel.StringKind:
		return t.IsExactType(cel.BoolType) || t.IsExactType(cel.IntType) || t.IsExactType(cel.StringType)
	case cel.ListKind:
		return plainType(t.Parameters()[0])
	case cel.StructKind:
		return t.TypeName() == factsType || t.TypeName() == itemType
	default:
		return false
	}
}
