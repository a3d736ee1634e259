//! File systems of our own: images on loop devices, in memory, laid over one another; and the power that can be cut off them.
//!
//! All of it is for a process with a mount namespace of its own (`alone_under(&["unshare", "-m"], ...)`), so that
//! nobody else sees it, and the kernel takes it away when the process ends, however it ends.
#![allow(
    unsafe_code,
    reason = "no crate that the tests use offers these ioctls"
)]

use std::ffi::CString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::support::{is_root, numbered, succeeds};

/// Files of 10,000 [`numbered`] bytes in the lower layer of an overlay.
pub const BELOW: [&str; 2] = ["below", "below-too"];

/// A kind of file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    Ext4,
    Xfs,
    Btrfs,
    Tmpfs,
    /// Over two directories in memory.
    Overlayfs,
}

impl FileSystem {
    pub const ALL: [FileSystem; 5] = [
        FileSystem::Ext4,
        FileSystem::Xfs,
        FileSystem::Btrfs,
        FileSystem::Tmpfs,
        FileSystem::Overlayfs,
    ];

    /// As mount(8) calls it.
    pub fn name(self) -> &'static str {
        match self {
            FileSystem::Ext4 => "ext4",
            FileSystem::Xfs => "xfs",
            FileSystem::Btrfs => "btrfs",
            FileSystem::Tmpfs => "tmpfs",
            FileSystem::Overlayfs => "overlay",
        }
    }

    /// The command that makes an image one, and how large it has to be: as small as it may, because it is made often.
    fn image(self) -> Option<(&'static [&'static str], u64)> {
        match self {
            FileSystem::Ext4 => Some((&["mkfs.ext4", "-q", "-F"], 64 << 20)),
            FileSystem::Xfs => Some((&["mkfs.xfs", "-q", "-f"], 300 << 20)),
            FileSystem::Btrfs => Some((&["mkfs.btrfs", "-q", "-f"], 200 << 20)),
            FileSystem::Tmpfs | FileSystem::Overlayfs => None,
        }
    }

    /// What this process would need to have one, if it cannot.
    pub fn missing(self) -> Option<String> {
        let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
        if !is_root() {
            return Some("root".to_owned());
        }
        if !succeeds(&["unshare", "-m", "true"]) {
            return Some("unshare -m".to_owned());
        }
        if !known.split_whitespace().any(|name| name == self.name()) {
            return Some(format!("{self} in the kernel"));
        }
        let ([make, ..], _) = self.image()? else {
            return None;
        };
        if Command::new(make).arg("-V").output().is_err() {
            return Some((*make).to_owned());
        }
        let control = Path::new("/dev/loop-control");
        (!control.exists()).then(|| "loop devices".to_owned())
    }

    /// Makes a new one and mounts it, with what it needs in `dir`.
    pub fn make(self, dir: &Path) -> Mount {
        let place = dir.join(self.name());
        fs::create_dir(&place).expect("a place for the mount");
        let Some((make, size)) = self.image() else {
            mount_at("tmpfs", &place, "tmpfs", "");
            if self == FileSystem::Overlayfs {
                for name in ["lower", "upper", "work"] {
                    fs::create_dir(place.join(name)).expect("a directory in memory");
                }
                for name in BELOW {
                    let path = place.join("lower").join(name);
                    fs::write(path, numbered(10_000)).expect("a file in memory");
                }
                let layers = "lowerdir=lower,upperdir=upper,workdir=work";
                let layers = layers.replace('=', &format!("={}/", place.display()));
                mount_at("overlay", &place, "overlay", &layers);
            }
            return Mount {
                kind: self,
                place,
                device: None,
            };
        };
        let image = dir.join(format!("{}.image", self.name()));
        let file = File::create_new(&image).expect("a new image");
        file.set_len(size).expect("holes only");
        let made = Command::new(make[0])
            .args(&make[1..])
            .arg(&image)
            .output()
            .expect("it was there");
        assert!(
            made.status.success(),
            "{make:?}: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        let mut mount = Mount {
            kind: self,
            place,
            device: Some(Device::new(&image)),
        };
        mount.mount();
        mount
    }
}

impl fmt::Display for FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileSystem::Ext4 => "ext4",
            FileSystem::Xfs => "XFS",
            FileSystem::Btrfs => "btrfs",
            FileSystem::Tmpfs => "tmpfs",
            FileSystem::Overlayfs => "overlayfs",
        })
    }
}

fn mount_at(source: &str, place: &Path, kind: &str, options: &str) {
    let options = CString::new(options).expect("no zero");
    let mounted = mount(source, place, kind, MountFlags::empty(), &*options);
    if let Err(error) = mounted {
        panic!("mounting {kind}: {error}");
    }
}

/// A mounted file system.
#[derive(Debug)]
pub struct Mount {
    kind: FileSystem,
    place: PathBuf,
    /// The one that the image is on.
    device: Option<Device>,
}

impl Mount {
    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.place
    }

    /// What cuts the power off, from wherever it is.
    pub fn power(&self) -> Power {
        Power(File::open(&self.place).expect("the mounted directory"))
    }

    /// Unmounts it, which needs that nobody uses any of it, and mounts it again: what the device has is what there is.
    pub fn restart(&mut self) {
        let since = Instant::now();
        // The kernel lets go of closed descriptors a moment later.
        while let Err(error) = unmount(&self.place, UnmountFlags::empty()) {
            let waits = since.elapsed() < Duration::from_secs(60);
            assert!(
                error == rustix::io::Errno::BUSY && waits,
                "unmounting: {error}; still open: {:?}",
                self.open()
            );
            thread::sleep(Duration::from_millis(1));
        }
        self.mount();
    }

    fn mount(&mut self) {
        let device = self.device.as_ref().expect("there is an image");
        mount_at(&device.path, &self.place, self.kind.name(), "");
    }

    /// What of it this process has open.
    fn open(&self) -> Vec<PathBuf> {
        let listing = fs::read_dir("/proc/self/fd").expect("/proc");
        let targets = listing.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        targets
            .filter(|target| target.starts_with(&self.place))
            .collect()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // The layers of an overlay are in a mount below.
        let mounts = 1 + usize::from(self.kind == FileSystem::Overlayfs);
        for _ in 0..mounts {
            let _ = unmount(&self.place, UnmountFlags::DETACH);
        }
    }
}

/// The power of a file system.
#[derive(Debug)]
pub struct Power(File);

impl Power {
    /// From now on nothing reaches the device, neither data nor what the journal has not written yet. All that the file
    /// system is asked for fails.
    pub fn cut(self) {
        const GOING_DOWN: libc::c_ulong = 0x8004_587d;
        // Without flushing the journal.
        let at_once = 2_u32;
        // SAFETY: this request reads a number of 32 bits, which lives until the call returns.
        let cut = unsafe { libc::ioctl(self.0.as_raw_fd(), GOING_DOWN as _, &raw const at_once) };
        assert_eq!(cut, 0, "{}", io::Error::last_os_error());
    }
}

/// A loop device, which the kernel frees when this is dropped and it is not mounted, or when the process is gone.
#[derive(Debug)]
struct Device {
    path: String,
    /// Keeps it.
    _device: File,
}

impl Device {
    fn new(image: &Path) -> Device {
        const GET_FREE: libc::c_ulong = 0x4c82;
        const CONFIGURE: libc::c_ulong = 0x4c0a;
        const AUTOCLEAR: u32 = 4;

        /// `struct loop_config` of <linux/loop.h>.
        #[repr(C)]
        struct Config {
            image: u32,
            block_size: u32,
            /// Device, inode, device it stands for, offset, limit of the size: all left to the kernel.
            ids: [u64; 5],
            /// Number of the device, and an encryption that is none.
            numbers: [u32; 3],
            flags: u32,
            name: [u8; 64],
            rest: [u8; 64 + 32 + 16 + 64],
        }

        let image_file = open_both(image).expect("the image");
        let control = open_both(Path::new("/dev/loop-control")).expect("it was there");
        let mut config = Config {
            image: image_file.as_raw_fd() as u32,
            block_size: 0,
            ids: [0; 5],
            numbers: [0; 3],
            flags: AUTOCLEAR,
            name: [0; 64],
            rest: [0; 176],
        };
        let name = image.as_os_str().as_bytes();
        let shown = &name[name.len().saturating_sub(63)..];
        config.name[..shown.len()].copy_from_slice(shown);
        loop {
            // SAFETY: this request takes nothing.
            let number = unsafe { libc::ioctl(control.as_raw_fd(), GET_FREE as _) };
            assert!(number >= 0, "{}", io::Error::last_os_error());
            let path = format!("/dev/loop{number}");
            let device = open_both(Path::new(&path)).expect("a loop device");
            // SAFETY: this request reads a `struct loop_config`, which lives until the call returns.
            let done =
                unsafe { libc::ioctl(device.as_raw_fd(), CONFIGURE as _, &raw const config) };
            let error = io::Error::last_os_error();
            if done == 0 {
                // What is mounted may be one that nobody has open for writing.
                let kept = File::open(&path).expect("a loop device");
                return Device {
                    path,
                    _device: kept,
                };
            }
            // Somebody else has taken it.
            assert_eq!(error.raw_os_error(), Some(libc::EBUSY), "{path}: {error}");
        }
    }
}

fn open_both(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}
