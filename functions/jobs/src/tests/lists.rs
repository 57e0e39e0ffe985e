//! Lists that are deleted, by whoever reads them and whatever dies at it.

use campaign::model::{Actor, CampaignType};
use campaign::{Campaign, Category, Command, ExecutionId, ProfileId, Status, Version};
use store::StoreError;
use store::ledger::{Audience, Head, State};

use super::people::{Dies, WAIT, dies_at};
use super::*;

impl World {
    fn members(how_many: usize) -> Vec<ProfileId> {
        (0..how_many).map(|_| ProfileId::random()).collect()
    }

    async fn delete(&self, list: SegmentId) -> JobId {
        let found = self.store().segments.get(list).await.unwrap();
        self.store().delete_segment(&found).await.unwrap();
        let gone = self.store().segments.get(list).await;
        assert!(matches!(gone, Err(StoreError::NotFound { .. })), "it is gone at once: {gone:?}");
        self.store().jobs.list(None, 1).await.unwrap().0[0].id
    }

    async fn members_left(&self, list: SegmentId) -> usize {
        let mut left = 0;
        for partition in 0..tables::LIST_PARTITIONS {
            left +=
                self.store().segments.members(list, 1, partition, None, 5000).await.unwrap().members.len();
        }
        left
    }

    /// An execution for a list's members, as one is started, in the hands of a campaign that has gone on to other versions.
    async fn execution(&self, kind: CampaignType, list: SegmentId) -> ExecutionId {
        let (store, now) = (self.store(), self.clock.now());
        let mut campaign = Campaign::new("c", kind, Category::Marketing, Actor::envoi(), now);
        campaign.status = Status::Live;
        store.campaigns.create(&campaign, &Version::draft(1), &[], None).await.unwrap();
        let mut campaign = store.campaigns.get(campaign.id).await.unwrap();
        campaign.open_executions += 1;
        let audience = Audience::List { segment: list, generation: 1, partitions: tables::LIST_PARTITIONS };
        let version = Version::draft(1);
        let head = Head::new(ExecutionId::random(), &campaign, &version, audience, 10, now);
        assert!(store.ledger.start(&campaign, &head, Vec::new()).await.unwrap());
        head.id
    }
}

#[tokio::test]
async fn the_members_of_a_deleted_list_stay_as_long_as_an_execution_reads_them() {
    let world = World::new();
    let list = world.list("l", &World::members(1000)).await;
    let other = world.list("other", &World::members(10)).await;
    let job = world.delete(list).await;
    // Who saw the list before has started it just now.
    let execution = world.execution(CampaignType::Scheduled, list).await;
    for _ in 0..3 {
        assert_eq!(world.run(&world.context).await.1, 0);
        assert_eq!((world.members_left(list).await, world.job(job).await.state), (1000, JobState::Running));
        world.clock.advance(WAIT.max(Duration::from_secs(301)));
    }
    assert_eq!(world.store().open_reader(list).await.unwrap(), Some(execution));
    // As months pass in which it is paused.
    for _ in 0..40 {
        world.clock.advance(Duration::from_secs(24 * 3600));
        assert_eq!(world.run(&world.context).await.1, 0);
    }
    assert_eq!(world.job(job).await.state, JobState::Running);
    let ledger = &world.store().ledger;
    ledger.turn(execution, &State::OPEN, State::Stopping).await.unwrap();
    world.clock.advance(Duration::from_secs(301));
    assert_eq!(world.run(&world.context).await.1, 0);
    let job = world.job(job).await;
    let Task::DeleteList { removal, .. } = &job.task else { panic!("a list is deleted") };
    assert_eq!((job.state, removal.removed), (JobState::Completed, 1000));
    assert_eq!((world.members_left(list).await, world.members_left(other).await), (0, 10));
}

#[tokio::test]
async fn an_execution_reads_on_though_its_campaign_has_completed_and_is_put_away() {
    let world = World::new();
    let list = world.list("l", &World::members(10)).await;
    let execution = world.execution(CampaignType::ApiTriggered, list).await;
    let campaign = world.store().ledger.head(execution).await.unwrap().unwrap().campaign;
    for command in [Command::Complete, Command::Archive] {
        world.store().campaigns.command(campaign, command, &Actor::envoi(), |_| Ok(())).await.unwrap();
        assert_eq!(world.store().open_reader(list).await.unwrap(), Some(execution), "{command:?}");
    }
}

#[tokio::test]
async fn a_deletion_that_dies_at_any_of_its_writes_is_ended_by_another() {
    for dies in [Dies::Before, Dies::After] {
        let mut write = 1;
        loop {
            let world = World::new();
            let list = world.list("l", &World::members(300)).await;
            let job = world.delete(list).await;
            let has_died = dies_at(&world, job, write, dies).await;
            let story = format!("dies {dies:?} write {write}");
            assert_eq!(world.job(job).await.state, JobState::Completed, "{story}");
            assert_eq!(world.members_left(list).await, 0, "{story}");
            if !has_died {
                break;
            }
            write += 1;
        }
        assert!(write > 10, "there are as many writes: {write}");
    }
}

#[tokio::test]
async fn a_deletion_is_never_given_up() {
    let world = World::new();
    let list = world.list("l", &World::members(10)).await;
    let job = world.delete(list).await;
    world.clock.advance(WAIT);
    for _ in 0..25 {
        let (context, _) = world.mortal(1, Dies::Never);
        go_on(&context, job, world.deadline()).await.unwrap_err();
    }
    assert_eq!(world.run(&world.context).await.1, 0);
    assert_eq!((world.members_left(list).await, world.job(job).await.state), (0, JobState::Completed));
}

#[tokio::test]
async fn a_person_is_erased_from_lists_that_are_being_deleted() {
    let world = World::new();
    let people = World::members(50);
    let list = world.list("l", &people).await;
    world.delete(list).await;
    world.execution(CampaignType::Scheduled, list).await;
    let erasure = world.begin_erasure(people[0]).await;
    assert_eq!(world.run_through(&world.context).await.1, 0);
    let job = world.job(erasure).await;
    let Task::EraseProfile { erasure, .. } = &job.task else { panic!("it is an erasure") };
    assert_eq!((job.state, erasure.erased.lists), (JobState::Completed, 1));
    assert_eq!(world.members_left(list).await, 49);
}

#[tokio::test]
async fn whom_an_import_has_added_before_a_write_failed_its_list_counts() {
    let rows: String = (0..900).map(|n| format!("p{n}@x.io\n")).collect();
    let file = format!("email\n{rows}");
    let (mut with_profiles, mut write) = (true, 1);
    loop {
        let world = World::new();
        let list = world.list("l", &[]).await;
        let task = if with_profiles {
            Task::ImportProfiles { list: Some(list), import: Import::default() }
        } else {
            let bytes = stream::iter([Ok::<_, std::convert::Infallible>(file.clone())]);
            world.store().import_profiles(bytes, None, None).await.unwrap();
            Task::ImportMembers { list, import: Import::default() }
        };
        let job = world.start(task, &file).await;
        let (context, _) = world.mortal(write, Dies::Never);
        let (_, failed) = world.run(&context).await;
        assert_eq!(world.job(job).await.state, JobState::Completed);
        let counted = world.store().segments.get(list).await.unwrap().value.kind;
        let story = format!("write {write} fails, with profiles: {with_profiles}");
        assert!(matches!(counted, SegmentKind::List { members: 900, .. }), "{story}: {counted:?}");
        assert_eq!(world.members_left(list).await, 900, "{story}");
        write += 1;
        if failed == 0 {
            assert!(write > 10, "there are as many writes: {write}");
            if !with_profiles {
                break;
            }
            (with_profiles, write) = (false, 1);
        }
    }
}
