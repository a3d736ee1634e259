//! What one session does: everything that is random is drawn here, before it begins.
//!
//! A step that makes no sense when its turn comes (a write that would make the file too large) is turned into another
//! one by whoever performs it. So steps can be left out of a plan, and the rest still means the same.

use std::io::SeekFrom;

use fastrand::Rng;

/// How the file of a session is opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) read: bool,
    pub(super) write: bool,
    pub(super) append: bool,
    pub(super) unbuffered: bool,
    pub(super) buffer_size: Option<usize>,
    /// Past the page cache.
    pub(super) direct: bool,
}

impl Shape {
    fn random(rng: &mut Rng) -> Shape {
        let (read, write, append) = match rng.u8(..12) {
            0..6 => (true, true, false),
            6..9 => (true, rng.bool(), true),
            9 => (false, false, true),
            10 => (true, false, false),
            _ => (false, true, false),
        };
        let sizes = [
            1, 2, 7, 511, 512, 4096, 8192, 10_000, 16_384, 16_385, 65_536, 262_144, 300_000,
            1_048_576, 8_388_608,
        ];
        Shape {
            read,
            write,
            append,
            unbuffered: rng.u8(..5) == 0,
            buffer_size: (rng.u8(..3) == 0).then(|| *rng.choice(&sizes).expect("there are some")),
            direct: false,
        }
    }

    /// The same past the page cache, if a file may be opened so; a part of a block is written only by who may read it.
    fn directly(self) -> Shape {
        Shape {
            direct: self.read && !self.append,
            ..self
        }
    }

    pub(super) fn options(self) -> aiofiles::OpenOptions {
        let mut options = aiofiles::OpenOptions::new();
        options
            .read(self.read)
            .write(self.write)
            .append(self.append)
            .unbuffered(self.unbuffered)
            .direct(self.direct);
        if let Some(size) = self.buffer_size {
            options.buffer_size(size);
        }
        options
    }

    pub(super) fn std_options(self) -> std::fs::OpenOptions {
        let mut options = std::fs::OpenOptions::new();
        options
            .read(self.read)
            .write(self.write)
            .append(self.append);
        options
    }

    pub(super) fn is_writable(self) -> bool {
        self.write || self.append
    }
}

/// How the handles of a file end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    /// All are dropped, with whatever they have not written.
    Drop,
    /// The same, and the path is read before the file is opened again.
    DropAndRead,
    /// The same, and everything settles before std reads the path.
    DropAndSettle,
    /// Each one is closed.
    Close,
    /// All are dropped, and the file is opened with `truncate`.
    DropAndTruncate,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    Read(usize),
    ReadVectored([usize; 3]),
    ReadExact(usize),
    ReadToEnd,
    /// Reads pieces of so many bytes until none is left, and does not ask for the end.
    ReadToLast(usize),
    /// `fill_buf`, and `consume` of at most so many bytes.
    Fill(usize),
    Write(usize),
    WriteVectored([usize; 3]),
    WriteAll(usize),
    Seek(SeekFrom),
    SetLen(u64),
    Flush,
    SyncAll,
    SyncData,
    Position,
    Length,
    Reopen(Ending, Shape),
    Clone,
    DropClone,
    /// Goes on with another handle.
    Switch,
    /// `into_std`, a little of std, and back again with `From`.
    IntoStd,
    /// `copy_between` to the second file.
    CopyOut,
    /// `copy_between` from the second file.
    CopyIn,
    /// Functions of the crate look at the path.
    Path,
    /// A file that this crate did not open appends so many bytes.
    ForeignAppend(usize),
    /// Both files are compared as wholes.
    Compare,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) op: Op,
    /// The future may be dropped before it is done.
    pub(super) cancel: bool,
    /// Decides whatever is random while it is performed.
    pub(super) seed: u64,
}

/// One session.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) shape: Shape,
    /// The size of the file when it begins.
    pub(super) size: usize,
    /// No file grows larger.
    pub(super) most: usize,
    /// The page cache is made to forget the file whenever it is opened.
    pub(super) cold: bool,
    pub(super) steps: Vec<Step>,
}

/// What the user is busy with: operations of one kind tend to follow one another.
#[derive(Clone, Copy)]
enum Mood {
    Reading,
    Writing,
    Mixed,
    Administering,
}

impl Plan {
    pub(super) fn random(seed: u64, steps: usize, cancel: bool) -> Plan {
        let most = match Rng::with_seed(!seed).u8(..10) {
            0 => 64,
            1..4 => 20_000,
            4..8 => 600_000,
            _ => 4 * 1024 * 1024,
        };
        Plan::sized(seed, steps, cancel, most)
    }

    /// A session with files that mostly are small, of which there can be many.
    pub(super) fn small(seed: u64, steps: usize, cancel: bool) -> Plan {
        let most = match Rng::with_seed(!seed).u8(..100) {
            0..20 => 64,
            20..90 => 20_000,
            90..98 => 600_000,
            _ => 4 * 1024 * 1024,
        };
        Plan::sized(seed, steps, cancel, most)
    }

    fn sized(seed: u64, steps: usize, cancel: bool, most: usize) -> Plan {
        let mut rng = Rng::with_seed(seed);
        let rng = &mut rng;
        let mut plan = Plan {
            seed,
            shape: Shape::random(rng),
            size: file_length(rng, most),
            most,
            cold: false,
            steps: Vec::with_capacity(steps),
        };
        let mut mood = Mood::Mixed;
        let mut usual = length(rng, most);
        for _ in 0..steps {
            if rng.u8(..30) == 0 {
                mood = match rng.u8(..7) {
                    0 | 1 => Mood::Reading,
                    2 | 3 => Mood::Writing,
                    4 | 5 => Mood::Mixed,
                    _ => Mood::Administering,
                };
                usual = length(rng, most);
            }
            let op = operation(rng, mood, usual, most);
            if let Op::ReadToLast(_) = op {
                // What follows is what shows whether the end was remembered.
                plan.push(rng, Op::Seek(SeekFrom::Start(0)), false);
                plan.push(rng, op, false);
                let grow = match rng.u8(..4) {
                    0 => Op::ForeignAppend(length(rng, most / 4)),
                    1 | 2 => Op::SetLen(new_length(rng, most)),
                    _ => Op::Flush,
                };
                plan.push(rng, grow, false);
                plan.push(rng, Op::Read(usual), cancel);
            } else {
                plan.push(rng, op, cancel);
            }
        }
        plan
    }

    /// The same session with every file opened past the page cache, as far as that is possible.
    pub(super) fn directly(mut self) -> Plan {
        self.shape = self.shape.directly();
        for step in &mut self.steps {
            if let Op::Reopen(_, shape) = &mut step.op {
                *shape = shape.directly();
            }
        }
        self
    }

    /// The same session with files that the page cache does not have.
    pub(super) fn cold(mut self) -> Plan {
        self.cold = true;
        self
    }

    fn push(&mut self, rng: &mut Rng, op: Op, cancel: bool) {
        self.steps.push(Step {
            op,
            cancel: cancel && rng.u8(..3) > 0,
            seed: rng.u64(..),
        });
    }
}

/// Leaves out as many steps as it can so that the rest still fails.
#[cfg(feature = "testing")]
pub(super) fn minimised<T: Clone>(mut steps: Vec<T>, fails: impl Fn(&[T]) -> bool) -> Vec<T> {
    // A failure that takes long is not to be waited for too often.
    let mut attempts = 500;
    let mut chunk = steps.len().next_power_of_two() / 2;
    while chunk > 0 {
        let mut at = 0;
        while at < steps.len() && attempts > 0 {
            let mut fewer = steps.clone();
            fewer.drain(at..(at + chunk).min(steps.len()));
            if fails(&fewer) {
                steps = fewer;
            } else {
                at += chunk;
            }
            attempts -= 1;
        }
        chunk /= 2;
    }
    steps
}

fn operation(rng: &mut Rng, mood: Mood, usual: usize, most: usize) -> Op {
    let len = if rng.u8(..3) > 0 {
        usual
    } else {
        length(rng, most)
    };
    // A share of 100 for reading, and one for writing; the rest is everything else.
    let (reads, writes) = match mood {
        Mood::Reading => (85, 5),
        Mood::Writing => (5, 80),
        Mood::Mixed => (35, 35),
        Mood::Administering => (15, 15),
    };
    match rng.u8(..100) {
        share if share < reads => match rng.u8(..40) {
            0..20 => Op::Read(len),
            20..24 => Op::ReadVectored(thirds(rng, len)),
            24..30 => Op::Fill(len),
            30..37 => Op::ReadExact(len),
            37 => Op::ReadToLast(len.max(most / 100)),
            _ => Op::ReadToEnd,
        },
        share if share < reads + writes => match rng.u8(..20) {
            0..11 => Op::Write(len),
            11..13 => Op::WriteVectored(thirds(rng, len)),
            _ => Op::WriteAll(len),
        },
        _ => match rng.u8(..100) {
            0..30 => Op::Seek(target(rng, most)),
            30..40 => Op::SetLen(new_length(rng, most)),
            40..48 => Op::Flush,
            48 => Op::SyncAll,
            49 => Op::SyncData,
            50..56 => Op::Position,
            56..62 => Op::Length,
            62..70 => Op::Reopen(
                match rng.u8(..8) {
                    0 => Ending::DropAndTruncate,
                    1 => Ending::DropAndRead,
                    2 => Ending::DropAndSettle,
                    3..6 => Ending::Drop,
                    _ => Ending::Close,
                },
                Shape::random(rng),
            ),
            70..75 => Op::Clone,
            75..78 => Op::DropClone,
            78..83 => Op::Switch,
            83..86 => Op::IntoStd,
            86..89 => Op::CopyOut,
            89..92 => Op::CopyIn,
            92..95 => Op::Path,
            95..98 => Op::ForeignAppend(length(rng, most / 4)),
            _ => Op::Compare,
        },
    }
}

/// A length that is tiny, or near the edge of some block, or anything.
fn length(rng: &mut Rng, most: usize) -> usize {
    let edges = [
        512,
        1024,
        4096,
        8 * 1024,
        16 * 1024,
        32 * 1024,
        64 * 1024,
        128 * 1024,
        256 * 1024,
        512 * 1024,
        1024 * 1024,
    ];
    let len = match rng.u8(..20) {
        0..4 => rng.usize(..4),
        4..12 => {
            let edges = &edges[..edges.partition_point(|&edge| edge <= most)];
            (rng.choice(edges).copied().unwrap_or(most) + rng.usize(..3)).saturating_sub(1)
        }
        12..17 => rng.usize(..2000),
        _ => rng.usize(..=most / 3 + 1),
    };
    len.min(most)
}

fn thirds(rng: &mut Rng, len: usize) -> [usize; 3] {
    let (one, other) = (rng.usize(..=len), rng.usize(..=len));
    let (one, other) = (one.min(other), one.max(other));
    [one, other - one, len - other]
}

fn target(rng: &mut Rng, most: usize) -> SeekFrom {
    let near = |rng: &mut Rng| length(rng, most) as i64 * if rng.bool() { 1 } else { -1 };
    match rng.u8(..40) {
        0 => *rng
            .choice(
                [
                    SeekFrom::Start(u64::MAX),
                    SeekFrom::Start(1 << 63),
                    SeekFrom::Start(1 << 40),
                    SeekFrom::Current(i64::MIN),
                    SeekFrom::End(i64::MIN),
                    SeekFrom::Current(1 << 40),
                    SeekFrom::End(1 << 40),
                ]
                .iter(),
            )
            .expect("there are some"),
        1..12 => SeekFrom::Start(rng.usize(..=most) as u64),
        12..18 => SeekFrom::Start(0),
        18..28 => SeekFrom::Current(near(rng)),
        28..32 => SeekFrom::End(0),
        _ => SeekFrom::End(near(rng)),
    }
}

fn new_length(rng: &mut Rng, most: usize) -> u64 {
    match rng.u8(..20) {
        0 => i64::MAX as u64,
        1 => u64::MAX,
        2 | 3 => 0,
        4..10 => length(rng, most) as u64,
        _ => file_length(rng, most) as u64,
    }
}

/// The length of a file: often such that reading ahead ends exactly where the file does.
fn file_length(rng: &mut Rng, most: usize) -> usize {
    match rng.u8(..3) {
        0 => rng.usize(..=most),
        1 => rng.usize(..=most / 4096) * 4096,
        // Windows grow from 8 KiB on, four times as large each.
        _ => [8, 8 + 32, 8 + 32 + 128, 8 + 32 + 128 + 256][rng.usize(..4)] * 1024,
    }
    .min(most)
}
