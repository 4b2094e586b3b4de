package main

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"varve/internal/id"
	"varve/internal/say"
	"varve/internal/vfs"
	"varve/wal"
)

// journalFiles is what dump journal tells of a journal.
type journalFiles struct {
	Journal string        `json:"journal"`
	Fence   uint64        `json:"fence"`
	Sealed  bool          `json:"sealed"`
	End     uint64        `json:"end,omitempty"` // the last entry that counts, if sealed
	Files   []journalFile `json:"files"`
}

// journalFile is one file of a journal.
type journalFile struct {
	Path    string `json:"path"`
	Bytes   int64  `json:"bytes"`
	Entries int64  `json:"entries"`
	First   uint64 `json:"first_entry"`
	Last    uint64 `json:"last_entry"`
	Appends int64  `json:"appends"`
	Records int64  `json:"records"`
	UsedTo  int64  `json:"used_to"` // where its intact entries end
	Problem string `json:"problem,omitempty"`
}

func dumpJournalCommand() *cobra.Command {
	var out jsonFlag
	var entries, appends bool
	var only string
	c := &cobra.Command{
		Use:   "journal DIR",
		Short: "Show the journals in an agent's data directory",
		Long: `Read the journals in a directory, verify all checksums, and show what they hold. Nothing is
changed and no lock is taken; while an agent runs, what it writes meanwhile may be missing.

The exit code is 1 if a file is damaged or entries are missing between files. What lies after
the last intact entry of a file is unused space, or a write that was not finished.`,
		Example: "  varve dump journal ./data\n  varve dump journal /var/lib/varve --journal 12-1 --appends",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if out.on && (entries || appends) {
				return usagef("--json tells of files only, without --entries and --appends")
			}
			d := &journalDump{only: only}
			dir, err := journalDir(args[0])
			if err != nil {
				return err
			}
			if !out.on && (entries || appends) {
				d.print = func(format string, args ...any) { fmt.Fprintf(c.OutOrStdout(), format, args...) }
				d.appends = appends
			}
			if err := wal.Inspect(vfs.OS{}, dir, d.inspector()); err != nil {
				return err
			}
			if len(d.journals) == 0 {
				return notFoundError{fmt.Sprintf("there are no such journals in %s", dir)}
			}
			if d.print == nil {
				err = out.write(c.OutOrStdout(), d.journals, d.table)
			}
			if err == nil && d.problems > 0 {
				err = fmt.Errorf("%s found in %s", say.Count(d.problems, "problem was", "problems were"), dir)
			}
			return err
		},
	}
	out.add(c, []journalFiles(nil))
	f := c.Flags()
	f.BoolVar(&entries, "entries", false, "show every entry, a group commit each")
	f.BoolVar(&appends, "appends", false, "and every record batch in it")
	f.StringVar(&only, "journal", "", "only this journal, like 12-1")
	return c
}

// journalDir is the directory itself, or the journals' in a data directory.
func journalDir(dir string) (string, error) {
	names, err := vfs.OS{}.List(dir)
	if err != nil {
		return "", usageError{err}
	}
	for _, n := range names {
		if n == "journal" {
			return filepath.Join(dir, n), nil
		}
	}
	return dir, nil
}

// journalDump gathers what Inspect finds.
type journalDump struct {
	only     string
	skip     bool // the present journal
	journals []journalFiles
	last     uint64 // entry of the journal so far
	any      bool   // whether there was one
	problems int
	appends  bool
	print    func(format string, args ...any) // of entries; nil: none
}

func (d *journalDump) inspector() wal.Inspector {
	return wal.Inspector{Journal: d.journal, File: d.file, Entry: d.entry, End: d.end, Other: func(string) {}}
}

func (d *journalDump) journal(j id.Journal, fence uint64, sealed bool, end uint64) {
	if d.skip = d.only != "" && j.String() != d.only; d.skip {
		return
	}
	d.last, d.any = 0, false
	d.journals = append(d.journals, journalFiles{j.String(), fence, sealed, end, []journalFile{}})
	d.say("journal %v  fence %d  sealed %v  end %d\n", j, fence, sealed, end)
}

func (d *journalDump) now() (*journalFiles, *journalFile) {
	j := &d.journals[len(d.journals)-1]
	return j, &j.Files[len(j.Files)-1]
}

func (d *journalDump) file(path string, size int64, err error) {
	if d.skip {
		return
	}
	j := &d.journals[len(d.journals)-1]
	f := journalFile{Path: path, Bytes: size}
	j.Files = append(j.Files, f)
	d.say("file %s  %d bytes\n", path, size)
	if err != nil {
		d.problem(err.Error())
	}
}

func (d *journalDump) problem(text string) {
	_, f := d.now()
	f.Problem = text
	d.problems++
	d.say("PROBLEM %s\n", text)
}

func (d *journalDump) entry(e *wal.Entry) {
	if d.skip {
		return
	}
	_, f := d.now()
	if d.any && e.Number != d.last+1 && f.Entries == 0 {
		d.problem(fmt.Sprintf("entries %d to %d are missing before this file", d.last+1, e.Number-1))
	}
	if f.Entries == 0 {
		f.First = e.Number
	}
	f.Entries++
	f.Last, d.last, d.any = e.Number, e.Number, true
	f.Appends += int64(len(e.Records))
	d.say("entry %d  at %v  %d bytes  %d appends\n", e.Number, e.Pos, e.Length, len(e.Records))
	for i := range e.Records {
		r := &e.Records[i]
		f.Records += int64(r.Count)
		if d.appends {
			d.say("  %v  offsets %d to %d  epoch %v  %d records  %d bytes at %v  newest %s  producer %d/%d/%d  crc %08x\n", r.Partition, r.Base, r.End()-1, r.Epoch,
				r.Count, r.Size, e.Place(r), timeText(r.MaxTime), r.ProducerID, r.ProducerEpoch, r.BaseSequence, r.BodyCRC)
		}
	}
}

func (d *journalDump) end(at int64, why error) {
	if d.skip {
		return
	}
	_, f := d.now()
	f.UsedTo = at
	if why != nil {
		d.say("end at %d of %d\n", at, f.Bytes)
	}
}

func (d *journalDump) say(format string, args ...any) {
	if d.print != nil {
		d.print(format, args...)
	}
}

func (d *journalDump) table(t *table) {
	for i, j := range d.journals {
		if i > 0 {
			t.gap()
		}
		state := "open"
		if j.Sealed {
			state = fmt.Sprintf("sealed at entry %d", j.End)
		}
		t.row(fmt.Sprintf("journal %s  %s  fence %d  %d files", j.Journal, state, j.Fence, len(j.Files)))
		if len(j.Files) == 0 {
			continue
		}
		t.gap()
		t.row("FILE", "SIZE", "USED", "ENTRIES", "FIRST", "LAST", "APPENDS", "RECORDS")
		for _, f := range j.Files {
			t.row(filepath.Base(f.Path), say.Bytes(f.Bytes), say.Bytes(f.UsedTo), f.Entries, f.First, f.Last, f.Appends, fmt.Sprint(f.Records)+inParentheses(f.Problem))
		}
	}
}

// timeText shows a record's timestamp.
func timeText(ms int64) string {
	if ms < 0 {
		return "none"
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}
