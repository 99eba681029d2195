//go:build linux

// Package private starts database servers for one test or one program alone: on
// a free port of the loopback interface, with files of their own, so that they
// can be killed. Started by root, a server runs under its package's account.
package private

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrAbsent says that the machine lacks the server's programs.
var ErrAbsent = errors.New("not installed")

// Server is a server process. It is not safe for concurrent use.
type Server struct {
	Name string // postgres, mariadb, redis
	Addr string // host and port
	DSN  string // of the driver: pgx, mysql; "" for Redis

	dir     string
	account string // under which root starts it; "" for root's own
	command []string
	env     []string
	process *exec.Cmd
	exited  chan struct{}
}

// Options are what the servers may differ in.
type Options struct {
	// SlowSync is how long each fsync of the server takes at least. It needs a C
	// compiler, and is for servers that sync by the C library.
	SlowSync time.Duration

	// Args are put behind the server's own arguments.
	Args []string
}

// PostgreSQL returns a PostgreSQL server that has not been started. Close removes
// its files.
func PostgreSQL(ctx context.Context, o Options) (*Server, error) {
	s, err := newServer("postgres", "postgres", "postgres", "initdb")
	if err != nil {
		return nil, err
	}
	data := filepath.Join(s.dir, "data")
	_, port, _ := net.SplitHostPort(s.Addr)
	s.DSN = "postgres://postgres@" + s.Addr + "/postgres?sslmode=disable&connect_timeout=5"
	s.command = append([]string{find("postgres"), "-D", data, "-h", "127.0.0.1", "-p", port, "-k", s.dir,
		"-c", "max_connections=200", "-c", "restart_after_crash=off"}, o.Args...)
	return s.made(o, s.run(ctx, find("initdb"), "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"))
}

// MariaDB returns a MariaDB server that has not been started. Its settings are
// the defaults. Close removes its files.
func MariaDB(ctx context.Context, o Options) (*Server, error) {
	s, err := newServer("mariadb", "mysql", "mariadbd", "mariadb-install-db")
	if err != nil {
		return nil, err
	}
	data := filepath.Join(s.dir, "data")
	_, port, _ := net.SplitHostPort(s.Addr)
	s.DSN = "root@tcp(" + s.Addr + ")/test?timeout=5s"
	s.command = append([]string{find("mariadbd"), "--no-defaults", "--datadir=" + data, "--socket=" + filepath.Join(s.dir, "sock"),
		"--bind-address=127.0.0.1", "--port=" + port, "--pid-file=" + filepath.Join(s.dir, "pid")}, o.Args...)
	return s.made(o, s.run(ctx, find("mariadb-install-db"), "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal"))
}

// Redis returns a Redis server that has not been started, with an append-only
// file. Close removes its files.
func Redis(_ context.Context, o Options) (*Server, error) {
	s, err := newServer("redis", "", "redis-server")
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(s.Addr)
	s.command = append([]string{find("redis-server"), "--bind", "127.0.0.1", "--port", port, "--dir", s.dir,
		"--save", "", "--appendonly", "yes"}, o.Args...)
	return s.made(o, nil)
}

// newServer returns a server with a directory and a port, if its programs are
// installed.
func newServer(name, account string, programs ...string) (*Server, error) {
	for _, p := range programs {
		if find(p) == "" {
			return nil, fmt.Errorf("%s: %s: %w", name, p, ErrAbsent)
		}
	}
	dir, err := os.MkdirTemp("", "ottpay-"+name)
	if err != nil {
		return nil, err
	}
	s := &Server{Name: name, dir: dir, account: account}
	if cred, err := s.credential(); err != nil {
		return s.made(Options{}, err)
	} else if cred != nil {
		if err := os.Chown(dir, int(cred.Uid), int(cred.Gid)); err != nil {
			return s.made(Options{}, err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return s.made(Options{}, err)
	}
	s.Addr = l.Addr().String()
	return s, l.Close()
}

// made is the end of a constructor.
func (s *Server) made(o Options, err error) (*Server, error) {
	if err == nil && o.SlowSync > 0 {
		var library string
		if library, err = slowSync(s.dir, o.SlowSync); err == nil {
			s.env = append(s.env, "LD_PRELOAD="+library)
		}
	}
	if err != nil {
		os.RemoveAll(s.dir)
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	return s, nil
}

// find returns the path of a program, "" if there is none. Debian keeps the
// servers' programs off the path.
func find(program string) string {
	if path, err := exec.LookPath(program); err == nil {
		return path
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + program)
	for _, dir := range []string{"/usr/sbin/", "/usr/local/sbin/"} {
		if _, err := os.Stat(dir + program); err == nil {
			found = append(found, dir+program)
		}
	}
	if len(found) == 0 {
		return ""
	}
	return found[len(found)-1]
}

// credential returns the account for root to start the server under, or nil.
func (s *Server) credential() (*syscall.Credential, error) {
	if os.Getuid() != 0 || s.account == "" {
		return nil, nil
	}
	u, err := user.Lookup(s.account)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

func (s *Server) cmd(ctx context.Context, name string, args ...string) (*exec.Cmd, error) {
	cred, err := s.credential()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "HOME="+s.dir, "LC_ALL=C")
	// It ends with this process, whatever becomes of that.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred, Pdeathsig: syscall.SIGKILL}
	return cmd, nil
}

func (s *Server) run(ctx context.Context, name string, args ...string) error {
	cmd, err := s.cmd(ctx, name, args...)
	if err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(name), err, out)
	}
	return nil
}

// Start starts the server, and returns when it accepts connections. ready is
// asked whether it does; nil stands for a TCP connection.
func (s *Server) Start(ctx context.Context, ready func(context.Context) error) error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd, err := s.cmd(context.Background(), s.command[0], s.command[1:]...)
	if err != nil {
		return err
	}
	cmd.Env = append(cmd.Env, s.env...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	go func() {
		cmd.Wait() // a server that is killed has an error
		close(exited)
	}()
	s.process, s.exited = cmd, exited
	if ready == nil {
		ready = s.listens
	}
	for ctx.Err() == nil {
		select {
		case <-exited:
			return fmt.Errorf("%s has ended:\n%s", s.Name, s.Log())
		case <-time.After(20 * time.Millisecond):
		}
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
		err = ready(attempt)
		cancel()
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("%s is not ready: %w\n%s", s.Name, err, s.Log())
}

func (s *Server) listens(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.Addr)
	if err != nil {
		return err
	}
	return conn.Close()
}

// Log returns the end of what the server has written.
func (s *Server) Log() string {
	b, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return string(b[max(0, len(b)-4000):])
}

// Kill ends the server and all of its processes with SIGKILL, and returns when
// they are gone.
func (s *Server) Kill() {
	if s.process == nil {
		return
	}
	s.process.Process.Kill() // at once: what follows takes time
	<-s.exited
	for _, pid := range s.others() {
		syscall.Kill(pid, syscall.SIGKILL)
		for syscall.Kill(pid, 0) == nil && !zombie(pid) {
			time.Sleep(time.Millisecond)
		}
	}
	s.process = nil
}

// others returns the processes that the server has started and left behind: they
// run in its directories.
func (s *Server) others() (found []int) {
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range links {
		cwd, err := os.Readlink(link)
		if err != nil || cwd != s.dir && !strings.HasPrefix(cwd, s.dir+"/") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link))); err == nil {
			found = append(found, pid)
		}
	}
	return found
}

// Close kills the server and removes its files.
func (s *Server) Close() error {
	s.Kill()
	return os.RemoveAll(s.dir)
}

// zombie reports whether a process has ended and only its entry is there.
func zombie(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(text), ") ")
	return err != nil || strings.HasPrefix(state, "Z")
}

const slowSource = `
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static void slow(void) { struct timespec t = {%d, %d}; nanosleep(&t, 0); }
int fsync(int fd) { slow(); return syscall(SYS_fsync, fd); }
int fdatasync(int fd) { slow(); return syscall(SYS_fdatasync, fd); }
`

// slowSync builds a library whose fsync and fdatasync take their time, and
// returns its path.
func slowSync(dir string, d time.Duration) (string, error) {
	cc := find("cc")
	if cc == "" {
		return "", fmt.Errorf("a C compiler: %w", ErrAbsent)
	}
	library := filepath.Join(dir, "slow.so")
	cmd := exec.Command(cc, "-shared", "-fPIC", "-O1", "-o", library, "-x", "c", "-")
	cmd.Stdin = strings.NewReader(fmt.Sprintf(slowSource, d/time.Second, d%time.Second))
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cc: %w\n%s", err, out)
	}
	return library, os.Chmod(library, 0o755)
}
