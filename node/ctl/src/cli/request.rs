//! `kouanctl request`.
//!
//! It does not check rows, columns or periods against the dataset; the catalog does.

use clap::{Args, Subcommand, ValueEnum};
use schemas::decision::{Mask, Operator, Predicate};
use schemas::dispute::DisputeMove;
use schemas::{DatasetId, Jurisdiction, PersonId, RequestId, Timestamp};

use super::{Paging, code, end, instant, place};

#[derive(Debug, Subcommand)]
pub(crate) enum Request {
    /// Ask for shared data.
    #[command(after_help = "Example: kouanctl request create gd.port.calls \
        --purpose transit-forecast --basis 809-21 --scenario forecast --columns port,date \
        --where port=eq:CNNSA --until 2027-06-30")]
    Create(Create),
    /// Requests that you are party to.
    #[command(after_help = "Example: kouanctl request list --state SUBMITTED")]
    List {
        /// Only those that stand here.
        #[arg(long)]
        state: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Clocks of requests that ran out (督办).
    #[command(after_help = "Example: kouanctl request supervisions")]
    Supervisions(Paging),
    /// One request.
    #[command(after_help = "Example: kouanctl request get r-7f3a")]
    Get {
        /// Which.
        id: RequestId,
    },
    /// Agree: makes the contract and its grant from the request, narrowed as you say.
    #[command(
        after_help = "Example: kouanctl request approve r-7f3a --columns port,date \
        --mask shipper=hash --rows-max 100000"
    )]
    Approve(Approve),
    /// Refuse, with the reasons that the law asks for.
    #[command(after_help = "Example: kouanctl request refuse r-7f3a --because 809-22")]
    Refuse {
        /// Which.
        id: RequestId,
        /// The reasons.
        #[arg(long)]
        because: String,
    },
    /// Send back for a supplement.
    #[command(after_help = "Example: kouanctl request return r-7f3a --missing basis")]
    Return {
        /// Which.
        id: RequestId,
        /// What is missing.
        #[arg(long)]
        missing: String,
    },
    /// Take a step in the dispute of a refusal: OPEN and UPHOLD are the consumer's, SHARE the
    /// provider's, COORDINATE and ESCALATE either's; the authority decides once it was asked.
    #[command(after_help = "Example: kouanctl request dispute r-7f3a OPEN --because 809-21")]
    Dispute {
        /// Which.
        id: RequestId,
        /// OPEN, COORDINATE, ESCALATE, UPHOLD or SHARE.
        #[arg(value_parser = |text: &str| code(text, DisputeMove::ALL, DisputeMove::parse))]
        step: DisputeMove,
        /// Why; of a superior's decision, its document.
        #[arg(long)]
        because: String,
    },
    /// The steps of a dispute.
    #[command(after_help = "Example: kouanctl request disputed r-7f3a")]
    Disputed {
        /// Of which request.
        id: RequestId,
    },
    /// Review what somebody else granted in an emergency.
    #[command(after_help = "Example: kouanctl request review r-7f3a UPHELD --because fire")]
    Review {
        /// Which.
        id: RequestId,
        /// UPHELD, or WRONG, which revokes the grant.
        #[arg(value_enum, ignore_case = true)]
        verdict: Verdict,
        /// Why.
        #[arg(long)]
        because: String,
    },
    /// An emergency grant and its review.
    #[command(after_help = "Example: kouanctl request reviewed r-7f3a")]
    Reviewed {
        /// Of which request.
        id: RequestId,
    },
    /// Take your request back.
    #[command(after_help = "Example: kouanctl request withdraw r-7f3a")]
    Withdraw {
        /// Which.
        id: RequestId,
    },
}

/// What a second person says of an emergency grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Verdict {
    /// It was right.
    Upheld,
    /// It was not, and ends.
    Wrong,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The dataset.
    pub(crate) dataset: DatasetId,
    /// What for, as a short code.
    #[arg(long)]
    pub(crate) purpose: String,
    /// What for, in words; the code when absent.
    #[arg(long)]
    pub(crate) purpose_text: Option<String>,
    /// Statute and article that you rest on.
    #[arg(long)]
    pub(crate) basis: String,
    /// How it will be used.
    #[arg(long)]
    pub(crate) scenario: String,
    /// Columns wanted, comma-separated; all when absent.
    #[arg(long, value_delimiter = ',')]
    pub(crate) columns: Vec<String>,
    /// Rows wanted, for example port=eq:CNNSA or year=in:2025,2026; repeat for more, all must
    /// hold. Comparisons: eq ne lt le gt ge in.
    #[arg(long = "where", value_parser = predicate, value_name = "COL=OP:VALUE")]
    pub(crate) rows: Vec<Predicate>,
    /// From when; now when absent.
    #[arg(long, value_parser = instant)]
    pub(crate) from: Option<Timestamp>,
    /// Until when; a date is included.
    #[arg(long, value_parser = end)]
    pub(crate) until: Timestamp,
    /// Where the data will be: CN, HK, MO ...; your participant's place when absent.
    #[arg(long, value_parser = place)]
    pub(crate) destination: Option<Jurisdiction>,
    /// Its identifier; random when absent. That of a returned request sends the supplement.
    #[arg(long)]
    pub(crate) id: Option<RequestId>,
}

#[derive(Debug, Args)]
pub(crate) struct Approve {
    /// Which.
    pub(crate) id: RequestId,
    /// Columns that may leave; those asked for when absent.
    #[arg(long, value_delimiter = ',')]
    pub(crate) columns: Vec<String>,
    /// What is done to a column first: col=hash, col=truncate:N, col=generalise:N, col=null.
    #[arg(long = "mask", value_parser = mask, value_name = "COL=MASK")]
    pub(crate) masks: Vec<(String, Mask)>,
    /// Most rows in one transfer.
    #[arg(long)]
    pub(crate) rows_max: Option<u64>,
    /// Until when; a date is included; the request's end when absent.
    #[arg(long, value_parser = end)]
    pub(crate) until: Option<Timestamp>,
    /// Only for this person of the consumer.
    #[arg(long)]
    pub(crate) subject: Option<PersonId>,
    /// Further terms, in words.
    #[arg(long, default_value = "")]
    pub(crate) terms: String,
    /// Days after which the consumer deletes what it received.
    #[arg(long)]
    pub(crate) retention_days: Option<u32>,
    /// What the emergency is: you alone agree, for a short time, and a second person reviews it.
    #[arg(long, value_name = "BECAUSE")]
    pub(crate) emergency: Option<String>,
}

/// Parses `col=op:value`.
fn predicate(text: &str) -> Result<Predicate, String> {
    let wrong = || "write COL=OP:VALUE, for example port=eq:CNNSA".to_owned();
    let (column, rest) = text.split_once('=').ok_or_else(wrong)?;
    let (operator, value) = rest.split_once(':').ok_or_else(wrong)?;
    if column.is_empty() {
        return Err(wrong());
    }
    let operator = code(operator, Operator::ALL, Operator::parse)?;
    let values = match operator {
        Operator::In => value.split(',').map(str::to_owned).collect(),
        _ => vec![value.to_owned()],
    };
    Ok(Predicate {
        column: column.to_owned(),
        operator,
        values,
    })
}

/// Parses `col=hash|truncate:N|generalise:N|null`.
fn mask(text: &str) -> Result<(String, Mask), String> {
    let wrong =
        || "write COL=hash, COL=truncate:CHARACTERS, COL=generalise:STEP or COL=null".to_owned();
    let (column, how) = text.split_once('=').ok_or_else(wrong)?;
    let mask = match how.split_once(':') {
        None if how == "hash" => Mask::KeyedHash,
        None if how == "null" => Mask::Null,
        Some(("truncate", n)) => Mask::Truncate {
            keep_chars: n.parse().map_err(|_| wrong())?,
        },
        Some(("generalise", n)) => Mask::Generalise {
            step: n.parse().map_err(|_| wrong())?,
        },
        _ => return Err(wrong()),
    };
    Ok((column.to_owned(), mask))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_named_as_column_comparison_and_value() {
        let of = |operator, values: &[&str]| Predicate {
            column: "port".to_owned(),
            operator,
            values: values.iter().map(|it| (*it).to_owned()).collect(),
        };
        assert_eq!(predicate("port=eq:CNNSA"), Ok(of(Operator::Eq, &["CNNSA"])));
        assert_eq!(predicate("port=in:a,b"), Ok(of(Operator::In, &["a", "b"])));
        assert_eq!(predicate("port=ge:a,b:c"), Ok(of(Operator::Ge, &["a,b:c"])));
        for bad in ["port", "port=CNNSA", "port=like:x", "=eq:x"] {
            assert!(predicate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn masks_are_named_as_column_and_kind() {
        let named = |mask| Ok(("a".to_owned(), mask));
        assert_eq!(mask("a=hash"), named(Mask::KeyedHash));
        assert_eq!(mask("a=null"), named(Mask::Null));
        assert_eq!(
            mask("a=truncate:3"),
            named(Mask::Truncate { keep_chars: 3 })
        );
        assert_eq!(
            mask("a=generalise:1000"),
            named(Mask::Generalise { step: 1000 })
        );
        for bad in ["a", "a=blur", "a=truncate", "a=truncate:x", "a=hash:1"] {
            assert!(mask(bad).is_err(), "{bad}");
        }
    }
}
