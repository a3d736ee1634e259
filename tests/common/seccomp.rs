//! System calls that the kernel refuses to this process, as sandboxes do it.
//!
//! With the environment variable `AIOFILES_TEST_REFUSE_URING`, the name of an error such as `EPERM`, every test binary
//! refuses io_uring to itself before its first test, so that all of them can be run as if there were none.
#![allow(
    unsafe_code,
    reason = "no crate that the tests use offers seccomp filters, nor a function that runs before `main`"
)]

use std::env;
use std::ffi::c_long;
use std::io;

/// The calls of io_uring.
pub const IO_URING_SETUP: c_long = libc::SYS_io_uring_setup;
pub const IO_URING_ENTER: c_long = libc::SYS_io_uring_enter;

/// What becomes of a call that is refused.
#[derive(Clone, Copy, Debug)]
pub enum Verdict {
    /// It fails with this error.
    Error(i32),
    /// It ends the process, with the signal SIGSYS.
    Kill,
}

/// Has the kernel refuse a system call, by its number, to all threads of this process and to its children, for ever.
pub fn refuse(call: c_long, verdict: Verdict) {
    let answer = match verdict {
        Verdict::Error(code) => libc::SECCOMP_RET_ERRNO | code as u32,
        Verdict::Kill => libc::SECCOMP_RET_KILL_PROCESS,
    };
    let step = |code: u32, jt, jf, k| libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    // The number of the call stands first in what the filter sees. The architecture need not be looked at: this process
    // makes no calls of another one.
    let mut filter = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            0,
            1,
            call as u32,
        ),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, answer),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: it takes numbers only, and keeps this process from gaining rights, which filters are not allowed without.
    let given_up = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(given_up, 0, "{}", io::Error::last_os_error());
    // SAFETY: the program and the steps that it points to live until the call returns; the kernel copies them.
    let set = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_TSYNC,
            &raw const program,
        )
    };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
}

/// The number of an error by its name.
pub fn code(name: &str) -> i32 {
    match name {
        "EPERM" => libc::EPERM,
        "ENOSYS" => libc::ENOSYS,
        "ENOMEM" => libc::ENOMEM,
        "EACCES" => libc::EACCES,
        name => panic!(
            "AIOFILES_TEST_REFUSE_URING is {name:?}: EPERM, ENOSYS, ENOMEM and EACCES are known"
        ),
    }
}

/// Whether the environment asks that io_uring be refused.
pub fn refuses_uring() -> bool {
    env::var_os("AIOFILES_TEST_REFUSE_URING").is_some_and(|name| !name.is_empty())
}

/// What the loader calls before `main`: the section holds addresses of functions with the C ABI. This one ignores the
/// arguments it is given, and neither unwinds, because a panic in such a function ends the process, nor needs anything that
/// only `main` sets up.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = before_main;

extern "C" fn before_main() {
    if refuses_uring() {
        let name = env::var("AIOFILES_TEST_REFUSE_URING").expect("the name of an error");
        refuse(IO_URING_SETUP, Verdict::Error(code(&name)));
    }
}
