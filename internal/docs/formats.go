package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
)

// Format is a chapter of the page on formats: a source file's content, whose
// comments of at least formatLines lines describe the bytes.
type Format struct {
	Title  string
	Path   string
	Source string
}

// formatLines tells a description of a format from an ordinary comment.
const formatLines = 8

// Formats writes the page on everything that outlives a process, out of the
// comments that stand beside the code which reads and writes it.
func Formats(formats []Format) (string, error) {
	var b strings.Builder
	b.WriteString(notice + "# Formats\n\nEverything that Varve writes and reads again: on disk, in the bucket, in etcd. Each chapter is the\ncomment of the code that does it, so that any tool can be written against it. `varve dump` shows\nwhat is stored in a form for people.\n")
	for _, f := range formats {
		parsed, err := parser.ParseFile(token.NewFileSet(), f.Path, f.Source, parser.ParseComments)
		if err != nil {
			return "", err
		}
		b.WriteString("\n## " + f.Title + "\n\nFrom `" + f.Path + "`.\n\n```text\n")
		b.WriteString(strings.Join(descriptions(parsed), "\n\n"))
		b.WriteString("\n```\n")
	}
	return b.String(), nil
}

// descriptions returns the long comments of a file, without that of the package.
func descriptions(f *ast.File) (texts []string) {
	for _, g := range f.Comments {
		if g != f.Doc && len(strings.Split(g.Text(), "\n")) >= formatLines {
			texts = append(texts, strings.TrimRight(g.Text(), "\n"))
		}
	}
	return texts
}
