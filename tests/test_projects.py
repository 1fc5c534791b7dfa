"""Projects are told apart by instance, id and creation time."""

from pathlib import Path

import pytest

from labelloop.labelstudio import ProjectKey
from labelloop.service.projects import Projects
from labelloop.service.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path))


@pytest.fixture
def projects(store: Store) -> Projects:
    return Projects(store, "http://localhost:8080")


def test_a_registered_project_is_found_by_key_slug_and_id(projects: Projects) -> None:
    project = projects.register(ProjectKey(3, 1795471905), "<View/>", "Birds")
    assert project.slug == "localhost-8080-3-1795471905"
    assert projects.get(project.key) == projects.get(project.slug) == projects.find(3) == project


def test_registering_again_keeps_what_is_not_given(projects: Projects) -> None:
    key = ProjectKey(3, 1795471905)
    projects.register(key, "<View/>", "Birds", overlap=2)
    project = projects.register(key, "<View>new</View>")
    assert (project.title, project.overlap, project.label_config) == ("Birds", 2, "<View>new</View>")


def test_registering_the_same_writes_nothing(projects: Projects, tmp_path: Path) -> None:
    key = ProjectKey(3, 1795471905)
    projects.register(key, "<View/>", "Birds")
    file = tmp_path / "projects" / projects.slug(key) / "project.json"
    before = file.stat().st_ino
    projects.register(key, "<View/>", "Birds")
    assert file.stat().st_ino == before


def test_a_reused_id_is_another_project(projects: Projects) -> None:
    projects.register(ProjectKey(3, 100), "", "old")
    projects.register(ProjectKey(3, 200), "", "new")
    found = projects.find(3)
    assert found is not None
    assert found.title == "new"


def test_instances_do_not_mix(store: Store, projects: Projects) -> None:
    projects.register(ProjectKey(3, 100), "")
    for url in ("http://localhost:8081", "https://localhost:8080/prefix", "http://other:8080"):
        assert Projects(store, url).all() == []


def test_instance_at_a_path_of_the_same_host_is_another(store: Store) -> None:
    root, below = Projects(store, "http://studio.example"), Projects(store, "http://studio.example/team")
    below.register(ProjectKey(7, 1), "<View/>")

    assert root.all() == []
    assert root.find(7) is None
    assert [project.key.id for project in below.all()] == [7]


def test_a_forgotten_project_is_not_served(projects: Projects) -> None:
    project = projects.register(ProjectKey(3, 100), "")
    projects.forget(project.slug)
    assert projects.get(project.slug) is None
    assert projects.all() == []
