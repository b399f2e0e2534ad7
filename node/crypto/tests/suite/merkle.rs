//! Merkle trees and their proofs, against a naive tree written from RFC 6962 section 2.1.

use crypto::Digest;
use crypto::merkle::{
    ConsistencyProof, InclusionProof, PATH_DIGESTS_MAX, Tree, leaf_digest, node_digest, root_of,
};
use proptest::prelude::*;

fn leaves(count: u64) -> Vec<Digest> {
    (0..count)
        .map(|number| leaf_digest(&number.to_be_bytes()))
        .collect()
}

/// MTH of RFC 6962, word for word.
fn naive_root(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => Digest::of(b""),
        [leaf] => *leaf,
        _ => {
            let split = leaves.len().next_power_of_two() / 2;
            node_digest(&naive_root(&leaves[..split]), &naive_root(&leaves[split..]))
        }
    }
}

const SIZES: u64 = 40;

#[test]
fn roots_are_those_of_the_standard_at_every_size() {
    let all = leaves(SIZES);
    let tree: Tree = all.iter().copied().collect();
    for size in 0..=all.len() {
        let expected = naive_root(&all[..size]);
        assert_eq!(root_of(&all[..size]), expected, "size {size}");
        assert_eq!(tree.root_at(size as u64), Ok(expected), "size {size}");
        assert_eq!(
            all[..size].iter().copied().collect::<Tree>().root(),
            expected
        );
    }
    assert!(tree.root_at(SIZES + 1).is_err());
}

#[test]
fn every_leaf_is_proved_at_every_size_and_nothing_else_is() {
    let all = leaves(SIZES);
    let tree: Tree = all.iter().copied().collect();
    for size in 1..=SIZES {
        let root = tree.root_at(size).unwrap();
        for index in 0..size {
            let leaf = tree.leaf(index).unwrap();
            let proof = tree.inclusion(index, size).unwrap();
            assert_eq!(proof.verify(&leaf, &root), Ok(()), "{index} in {size}");
            refuse_changed_inclusion(&proof, &leaf, &root);
        }
        assert!(tree.inclusion(size, size).is_err());
    }
}

fn refuse_changed_inclusion(proof: &InclusionProof, leaf: &Digest, root: &Digest) {
    let refuse = |changed: InclusionProof, leaf: &Digest, root: &Digest| {
        assert!(
            changed.verify(leaf, root).is_err(),
            "{changed:?} of {proof:?}"
        );
    };
    refuse(proof.clone(), &Digest::ZERO, root);
    refuse(proof.clone(), leaf, &Digest::ZERO);
    refuse(
        InclusionProof {
            index: proof.size,
            ..proof.clone()
        },
        leaf,
        root,
    );
    for index in (0..proof.size).filter(|index| *index != proof.index) {
        refuse(
            InclusionProof {
                index,
                ..proof.clone()
            },
            leaf,
            root,
        );
    }
    for at in 0..proof.path.len() {
        let mut changed = proof.clone();
        changed.path[at] = Digest::ZERO;
        refuse(changed, leaf, root);
        let mut shorter = proof.clone();
        shorter.path.remove(at);
        refuse(shorter, leaf, root);
    }
    let mut longer = proof.clone();
    longer.path.push(Digest::ZERO);
    refuse(longer, leaf, root);
}

#[test]
fn every_older_tree_is_proved_a_prefix_and_nothing_else_is() {
    let tree: Tree = leaves(SIZES).into_iter().collect();
    for new in 0..=SIZES {
        for old in 0..=new {
            let (old_root, new_root) = (tree.root_at(old).unwrap(), tree.root_at(new).unwrap());
            let proof = tree.consistency(old, new).unwrap();
            assert_eq!(proof.verify(&old_root, &new_root), Ok(()), "{old} in {new}");
            refuse_changed_consistency(&proof, &old_root, &new_root);
        }
        assert!(tree.consistency(new + 1, new).is_err());
    }
}

fn refuse_changed_consistency(proof: &ConsistencyProof, old_root: &Digest, new_root: &Digest) {
    let refuse = |changed: ConsistencyProof, old_root: &Digest, new_root: &Digest| {
        assert!(
            changed.verify(old_root, new_root).is_err(),
            "{changed:?} of {proof:?}"
        );
    };
    refuse(proof.clone(), &Digest::ZERO, new_root);
    // Every tree continues the empty one, so a proof from it says nothing of the new root.
    if proof.old_size != 0 {
        refuse(proof.clone(), old_root, &Digest::ZERO);
    }
    if proof.old_size != proof.new_size && proof.old_size != 0 {
        let turned = ConsistencyProof {
            old_size: proof.new_size,
            new_size: proof.old_size,
            path: proof.path.clone(),
        };
        refuse(turned, old_root, new_root);
    }
    for at in 0..proof.path.len() {
        let mut changed = proof.clone();
        changed.path[at] = Digest::ZERO;
        refuse(changed, old_root, new_root);
        let mut shorter = proof.clone();
        shorter.path.remove(at);
        refuse(shorter, old_root, new_root);
    }
    let mut longer = proof.clone();
    longer.path.push(Digest::ZERO);
    refuse(longer, old_root, new_root);
}

#[test]
fn a_changed_history_has_no_consistency_proof() {
    let honest: Tree = leaves(20).into_iter().collect();
    let mut rewritten = leaves(30);
    rewritten[7] = Digest::ZERO;
    let rewritten: Tree = rewritten.into_iter().collect();
    let proof = rewritten.consistency(20, 30).unwrap();
    assert!(proof.verify(&honest.root(), &rewritten.root()).is_err());
}

#[test]
fn a_path_beyond_the_limit_is_not_read() {
    let path = vec![Digest::ZERO; PATH_DIGESTS_MAX + 1];
    let proof = InclusionProof {
        index: 0,
        size: u64::MAX,
        path: path.clone(),
    };
    assert!(proof.verify(&Digest::ZERO, &Digest::ZERO).is_err());
    let text = serde_json::to_string(&proof).unwrap();
    assert!(serde_json::from_str::<InclusionProof>(&text).is_err());
    let proof = ConsistencyProof {
        old_size: 1,
        new_size: u64::MAX,
        path,
    };
    assert!(proof.verify(&Digest::ZERO, &Digest::ZERO).is_err());
    let text = serde_json::to_string(&proof).unwrap();
    assert!(serde_json::from_str::<ConsistencyProof>(&text).is_err());
}

#[test]
fn proofs_survive_json() {
    let tree: Tree = leaves(11).into_iter().collect();
    let inclusion = tree.inclusion(4, 11).unwrap();
    let text = serde_json::to_string(&inclusion).unwrap();
    assert_eq!(
        serde_json::from_str::<InclusionProof>(&text).unwrap(),
        inclusion
    );
    let consistency = tree.consistency(5, 11).unwrap();
    let text = serde_json::to_string(&consistency).unwrap();
    assert_eq!(
        serde_json::from_str::<ConsistencyProof>(&text).unwrap(),
        consistency
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn large_trees_prove_what_they_hold(size in 1_u64..3_000, at: u64, old: u64) {
        let tree: Tree = leaves(size).into_iter().collect();
        let (index, old) = (at % size, old % (size + 1));
        let root = tree.root();
        let proof = tree.inclusion(index, size).unwrap();
        prop_assert_eq!(proof.verify(&tree.leaf(index).unwrap(), &root), Ok(()));
        let proof = tree.consistency(old, size).unwrap();
        prop_assert_eq!(proof.verify(&tree.root_at(old).unwrap(), &root), Ok(()));
    }

    #[test]
    fn stray_proofs_neither_verify_nor_panic(
        index: u64,
        size: u64,
        bytes in prop::collection::vec(any::<[u8; 32]>(), 0..70),
    ) {
        let path: Vec<Digest> = bytes.into_iter().map(Digest::from_bytes).collect();
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        let inclusion = InclusionProof { index, size, path: path.clone() };
        prop_assert!(inclusion.verify(&one, &other).is_err());
        let consistency = ConsistencyProof { old_size: index, new_size: size, path };
        prop_assert!(consistency.verify(&one, &other).is_err());
    }
}
