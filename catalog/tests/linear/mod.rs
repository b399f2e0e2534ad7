//! Decides whether what clients saw of one register can have happened one after the other.
//!
//! An operation takes effect at one instant between its call and its answer. One without an answer
//! may take effect at any instant after its call, or never. The search is that of Wing and Gong
//! ("Testing and verifying concurrent objects", 1993) with the memory of Lowe ("Testing for
//! linearizability", 2017): what was tried with the same operations done and the same register is
//! not tried again.
//!
//! It does not look at several registers at once and need not: a history is linearizable when the
//! history of each register is (Herlihy and Wing, 1990).

use std::collections::BTreeSet;

/// A register that is written only by whoever names the revision that it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Register {
    /// How often it was written.
    pub(crate) revision: u64,
    /// What was written last.
    pub(crate) value: u64,
}

/// What a client asks of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Write `value`, if the revision is `seen`.
    Write { seen: u64, value: u64 },
    /// What does it hold?
    Read,
}

/// What a client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Written; the revision is now this.
    Written(u64),
    /// Not written: the revision was another.
    Refused,
    /// It holds this.
    Holds(Register),
}

/// A call and, if it came, its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    /// When it was called.
    pub(crate) called: u64,
    /// When it was answered, and how. Before this instant it took effect.
    pub(crate) answered: Option<(u64, Answer)>,
    pub(crate) call: Call,
}

impl Operation {
    /// Before this instant it took effect, if ever.
    const fn end(&self) -> u64 {
        match self.answered {
            Some((at, _)) => at,
            None => u64::MAX,
        }
    }
}

/// What a history is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// There is an order that explains every answer.
    Linearizable,
    /// There is none. The longest explanation that was found, by place in the history.
    Violation { longest: Vec<usize> },
    /// Neither was found within [`TRIED_MAX`] steps.
    TooHard,
}

/// Most configurations that are tried; a history of a few hundred operations takes a thousandth.
pub(crate) const TRIED_MAX: usize = 2_000_000;

/// The register after a call, and the answer that it gives.
pub(crate) const fn step(register: Register, call: Call) -> (Register, Answer) {
    match call {
        Call::Read => (register, Answer::Holds(register)),
        Call::Write { seen, value } if seen == register.revision => {
            let revision = register.revision + 1;
            (Register { revision, value }, Answer::Written(revision))
        }
        Call::Write { .. } => (register, Answer::Refused),
    }
}

/// The operations that were done, one bit each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Done(Vec<u64>);

impl Done {
    fn has(&self, at: usize) -> bool {
        self.0[at / 64] & (1 << (at % 64)) != 0
    }

    fn with(&self, at: usize) -> Self {
        let mut more = self.clone();
        more.0[at / 64] |= 1 << (at % 64);
        more
    }
}

/// One way to go on: what was done, in which order, and the register after it.
struct Way {
    done: Done,
    register: Register,
    order: Vec<usize>,
}

/// Decides whether `history`, beginning with `first`, is linearizable.
pub(crate) fn judge(first: Register, history: &[Operation]) -> Verdict {
    let start = Done(vec![0; history.len().div_ceil(64)]);
    let mut tried = BTreeSet::from([(start.clone(), first)]);
    let mut longest = Vec::new();
    let mut ways = vec![Way {
        done: start,
        register: first,
        order: Vec::new(),
    }];
    while let Some(way) = ways.pop() {
        if way.order.len() > longest.len() {
            longest.clone_from(&way.order);
        }
        let open = || (0..history.len()).filter(|at| !way.done.has(*at));
        let Some(first_end) = open()
            .filter(|at| history[*at].answered.is_some())
            .map(|at| history[at].end())
            .min()
        else {
            return Verdict::Linearizable;
        };
        // Whatever was called after the first of the others had ended comes after it.
        let next: Vec<usize> = open()
            .filter(|at| history[*at].called <= first_end)
            .collect();
        for at in next.into_iter().rev() {
            let (register, answer) = step(way.register, history[at].call);
            match history[at].answered {
                Some((_, told)) if told != answer => continue,
                // It changes nothing and nobody saw it: the same as if it never took effect.
                None if register == way.register => continue,
                Some(_) | None => {}
            }
            let done = way.done.with(at);
            if tried.insert((done.clone(), register)) {
                let mut order = way.order.clone();
                order.push(at);
                ways.push(Way {
                    done,
                    register,
                    order,
                });
            }
        }
        if tried.len() > TRIED_MAX {
            return Verdict::TooHard;
        }
    }
    Verdict::Violation { longest }
}
