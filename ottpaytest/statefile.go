package ottpaytest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// ErrStateInUse says that another Gateway writes the state file.
var ErrStateInUse = errors.New("ottpaytest: the state file is in use")

// stateFile is a record that grows. One Gateway writes it at a time; the lock
// is the file's own.
type stateFile struct {
	file *os.File
	w    *bufio.Writer
}

// openState takes the state file of a Gateway, loads it and writes it anew in
// its shortest form. The file is of mode 0600, and what was in it stays if
// anything goes wrong.
func (g *Gateway) openState(path string) error {
	old, err := lockState(path)
	if err != nil {
		return err
	}
	defer func() {
		if g.state == nil || g.state.file != old {
			old.Close()
		}
	}()
	b, err := readBook(old)
	if err != nil {
		return fmt.Errorf("%w (%s)", err, filepath.Base(path))
	}
	if !b.empty {
		if err := g.take(b); err != nil {
			return err
		}
	}
	s, err := g.rewrite(path, old)
	if err != nil {
		return err
	}
	g.state = s
	return nil
}

// lockState opens the file, makes it if need be, and locks it.
func lockState(path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if err := lockFile(f); err != nil {
			pid := writer(f)
			f.Close()
			if pid != 0 {
				return nil, fmt.Errorf("%w: %s is written by another sandbox (pid %d)", ErrStateInUse, filepath.Base(path), pid)
			}
			return nil, fmt.Errorf("%w: %s is written by another sandbox", ErrStateInUse, filepath.Base(path))
		}
		// The file that was locked may have been replaced since it was opened.
		locked, err := f.Stat()
		if err == nil {
			var now os.FileInfo
			if now, err = os.Stat(path); err == nil && os.SameFile(locked, now) {
				return f, nil
			}
		}
		f.Close()
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
}

// writer returns the process that writes a file, by its header; 0 if that does
// not say.
func writer(f *os.File) int {
	var h header
	if json.NewDecoder(io.LimitReader(f, 4096)).Decode(&h) != nil {
		return 0
	}
	return h.PID
}

// rewrite writes the whole record to a new file, which takes the place of the
// old one at once, locked. Windows does not let go of a name while its file is
// open, so there the old file is written over.
func (g *Gateway) rewrite(path string, old *os.File) (*stateFile, error) {
	h := header{Format: recordFormat, Version: recordVersion, Seed: g.cfg.Seed, Seq: g.log.seq, PID: os.Getpid()}
	everything := g.delta(g.everything(""))
	if runtime.GOOS == "windows" {
		if err := old.Truncate(0); err != nil {
			return nil, err
		}
		if _, err := old.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		if err := save(old, h, everything, g.log.after(0), ""); err != nil {
			return nil, err
		}
		return &stateFile{file: old, w: bufio.NewWriter(old)}, nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // of mode 0600
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*stateFile, error) {
		f.Close()
		_ = os.Remove(f.Name())
		return nil, err
	}
	if err := lockFile(f); err != nil {
		return fail(err)
	}
	if err := save(f, h, everything, g.log.after(0), ""); err != nil {
		return fail(err)
	}
	if err := f.Sync(); err != nil {
		return fail(err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fail(err)
	}
	return &stateFile{file: f, w: bufio.NewWriter(f)}, nil
}

// append writes lines.
func (s *stateFile) append(lines []entry) error {
	for _, l := range lines {
		if _, err := s.w.Write(l.text); err != nil {
			return err
		}
	}
	return s.w.Flush()
}

func (s *stateFile) close() error {
	return errors.Join(s.w.Flush(), s.file.Sync(), s.file.Close())
}
