//! The judge of client histories, judged itself: against every order that there is, and on
//! histories whose verdict is known.
//!
//! It does not test the catalog; what clients of real and of simulated members saw is judged
//! where they are.

mod linear;

use linear::{Answer, Call, Operation, Register, Verdict, judge, step};
use proptest::prelude::*;

fn write(seen: u64, value: u64) -> Call {
    Call::Write { seen, value }
}

fn holds(revision: u64, value: u64) -> Answer {
    Answer::Holds(Register { revision, value })
}

fn did(called: u64, end: u64, call: Call, answer: Answer) -> Operation {
    Operation {
        called,
        answered: Some((end, answer)),
        call,
    }
}

fn unanswered(called: u64, call: Call) -> Operation {
    Operation {
        called,
        answered: None,
        call,
    }
}

/// Every order of every set of operations that holds all answered ones.
fn some_order_explains(history: &[Operation], done: &mut Vec<usize>, register: Register) -> bool {
    let open: Vec<usize> = (0..history.len()).filter(|at| !done.contains(at)).collect();
    if open.iter().all(|at| history[*at].answered.is_none()) {
        return true;
    }
    open.iter().any(|at| {
        let late = open.iter().any(|other| {
            let ended = history[*other].answered.map(|(end, _)| end);
            ended.is_some_and(|end| end < history[*at].called)
        });
        let (after, answer) = step(register, history[*at].call);
        let told = history[*at].answered;
        if late || told.is_some_and(|(_, told)| told != answer) {
            return false;
        }
        done.push(*at);
        let explained = some_order_explains(history, done, after);
        done.pop();
        explained
    })
}

fn calls() -> impl Strategy<Value = Call> {
    prop_oneof![
        2 => (0_u64..3, 1_u64..4).prop_map(|(seen, value)| write(seen, value)),
        1 => Just(Call::Read),
    ]
}

fn answers(call: Call) -> BoxedStrategy<Answer> {
    match call {
        Call::Read => (0_u64..3, 0_u64..4)
            .prop_map(|(revision, value)| holds(revision, value))
            .boxed(),
        Call::Write { seen, .. } => {
            prop_oneof![Just(Answer::Refused), Just(Answer::Written(seen + 1))].boxed()
        }
    }
}

fn operations() -> impl Strategy<Value = Operation> {
    (calls(), 0_u64..12, 0_u64..8, 0..5).prop_flat_map(|(call, called, length, lost)| {
        answers(call).prop_map(move |answer| Operation {
            called,
            answered: (lost != 0).then_some((called + length, answer)),
            call,
        })
    })
}

/// A history that really happened, of which some answers were lost and perhaps one is a lie.
fn executions() -> impl Strategy<Value = Vec<Operation>> {
    let one = (calls(), 0_u64..6, 0_u64..6, 0..5);
    (prop::collection::vec(one, 1..7), 0_usize..14).prop_map(|(calls, lie)| {
        let mut register = Register::default();
        let mut history = Vec::new();
        for (at, (call, before, after, lost)) in (10_u64..).step_by(3).zip(calls) {
            let (next, answer) = step(register, call);
            register = next;
            history.push(Operation {
                called: at - before,
                answered: (lost != 0).then_some((at + after, answer)),
                call,
            });
        }
        if let Some(liar) = history.get_mut(lie)
            && let Some((_, answer)) = &mut liar.answered
        {
            *answer = match *answer {
                Answer::Refused => Answer::Written(1),
                Answer::Written(_) => Answer::Refused,
                Answer::Holds(it) => holds(it.revision + 1, it.value),
            };
        }
        history
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_judge_says_what_trying_every_order_says(
        history in prop_oneof![prop::collection::vec(operations(), 0..7), executions()]
    ) {
        let expected = some_order_explains(&history, &mut Vec::new(), Register::default());
        let verdict = judge(Register::default(), &history);
        prop_assert_eq!(verdict == Verdict::Linearizable, expected, "{:?}", verdict);
        prop_assert!(verdict != Verdict::TooHard);
    }
}

#[test]
fn known_histories_get_their_verdict() {
    let after_write = |answer| vec![did(0, 1, write(0, 7), Answer::Written(1)), answer];
    for (name, history, expected) in [
        ("nothing happened", vec![], true),
        (
            "a read after an acknowledged write sees it",
            after_write(did(2, 3, Call::Read, holds(1, 7))),
            true,
        ),
        (
            "a stale read",
            after_write(did(2, 3, Call::Read, holds(0, 0))),
            false,
        ),
        (
            "a read during a write sees either",
            after_write(did(1, 3, Call::Read, holds(0, 0))),
            true,
        ),
        (
            "a lost acknowledged write",
            after_write(did(2, 3, write(0, 8), Answer::Written(1))),
            false,
        ),
        (
            "a write that was said to be refused, and is read",
            vec![
                did(0, 1, write(0, 7), Answer::Refused),
                did(2, 3, Call::Read, holds(1, 7)),
            ],
            false,
        ),
        (
            "an unanswered write takes effect late",
            vec![
                unanswered(0, write(0, 7)),
                did(1, 2, Call::Read, holds(0, 0)),
                did(3, 4, Call::Read, holds(1, 7)),
            ],
            true,
        ),
        (
            "an unanswered write takes effect once",
            vec![
                unanswered(0, write(0, 7)),
                did(1, 2, write(1, 8), Answer::Written(2)),
                did(3, 4, Call::Read, holds(3, 7)),
            ],
            false,
        ),
        (
            "two reads that go back",
            vec![
                unanswered(0, write(0, 7)),
                did(1, 2, Call::Read, holds(1, 7)),
                did(3, 4, Call::Read, holds(0, 0)),
            ],
            false,
        ),
    ] {
        let verdict = judge(Register::default(), &history);
        assert_eq!(
            verdict == Verdict::Linearizable,
            expected,
            "{name}: {verdict:?}"
        );
    }
}

/// A hundred clients at once and a hundred writes of unknown outcome are no harder than a few.
#[test]
fn a_long_history_is_judged_in_few_steps() {
    let mut register = Register::default();
    let mut history = Vec::new();
    for at in 0..400_u64 {
        let call = if at % 3 == 0 {
            Call::Read
        } else {
            write(register.revision + u64::from(at % 7 == 1), at)
        };
        let (next, answer) = step(register, call);
        register = next;
        let lost = at % 4 == 1;
        history.push(Operation {
            called: (at * 10).saturating_sub(35),
            answered: (!lost).then_some((at * 10 + 35, answer)),
            call,
        });
    }
    assert_eq!(judge(Register::default(), &history), Verdict::Linearizable);
}
